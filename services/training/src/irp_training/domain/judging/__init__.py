"""When a model is good enough: scores of cases, intervals over patients, and the rules of the gates."""
