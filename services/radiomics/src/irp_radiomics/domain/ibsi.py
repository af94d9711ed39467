"""PyRadiomics' feature names and the permanent codes of the standard that define the same quantity.

Left out on purpose, for the definitions differ: firstorder Kurtosis (not in excess of a normal distribution's 3), MCC,
TotalEnergy, and every shape feature without a counterpart. `tests/reference` proves the agreement on IBSI's phantom.
Source: Zwanenburg et al., IBSI reference manual, arXiv:1612.07003v11; Radiology 295:328-338, 2020.
"""

from __future__ import annotations

from collections.abc import Mapping

CODES: Mapping[str, Mapping[str, str]] = {
    "shape": {
        "MeshVolume": "RNU0", "VoxelVolume": "YEKZ", "SurfaceArea": "C0JK", "SurfaceVolumeRatio": "2PR5",
        "Sphericity": "QCFX", "Maximum3DDiameter": "L0JK", "MajorAxisLength": "TDIC", "MinorAxisLength": "P9VJ",
        "LeastAxisLength": "7J51", "Elongation": "Q3CK", "Flatness": "N17B",
    },
    "firstorder": {
        "Mean": "Q4LE", "Variance": "ECT3", "Skewness": "KE2A", "Median": "Y12H", "Minimum": "1GSF", "Maximum": "84IY",
        "10Percentile": "QG58", "90Percentile": "8DWT", "InterquartileRange": "SALO", "Range": "2OJQ",
        "MeanAbsoluteDeviation": "4FUA", "RobustMeanAbsoluteDeviation": "1128", "Energy": "N8CA",
        "RootMeanSquared": "5ZWQ", "Entropy": "TLU2", "Uniformity": "BJ5W",
    },
    "glcm": {
        "MaximumProbability": "GYBY", "JointAverage": "60VM", "SumSquares": "UR99", "JointEntropy": "TU9B",
        "DifferenceAverage": "TF7R", "DifferenceVariance": "D3YU", "DifferenceEntropy": "NTRS", "SumAverage": "ZGXS",
        "SumEntropy": "P6QZ", "JointEnergy": "8ZQL", "Contrast": "ACUI", "Id": "IB1Z", "Idn": "NDRX", "Idm": "WF0Z",
        "Idmn": "1QCO", "InverseVariance": "E8JP", "Correlation": "NI2N", "Autocorrelation": "QWB0",
        "ClusterTendency": "DG8W", "ClusterShade": "7NFM", "ClusterProminence": "AE86", "Imc1": "R8DG", "Imc2": "JN9H",
    },
    "glrlm": {
        "ShortRunEmphasis": "22OV", "LongRunEmphasis": "W4KF", "LowGrayLevelRunEmphasis": "V3SW",
        "HighGrayLevelRunEmphasis": "G3QZ", "ShortRunLowGrayLevelEmphasis": "HTZT",
        "ShortRunHighGrayLevelEmphasis": "GD3A", "LongRunLowGrayLevelEmphasis": "IVPO",
        "LongRunHighGrayLevelEmphasis": "3KUM", "GrayLevelNonUniformity": "R5YN",
        "GrayLevelNonUniformityNormalized": "OVBL", "RunLengthNonUniformity": "W92Y",
        "RunLengthNonUniformityNormalized": "IC23", "RunPercentage": "9ZK5", "GrayLevelVariance": "8CE5",
        "RunVariance": "SXLW", "RunEntropy": "HJ9O",
    },
    "glszm": {
        "SmallAreaEmphasis": "5QRC", "LargeAreaEmphasis": "48P8", "LowGrayLevelZoneEmphasis": "XMSY",
        "HighGrayLevelZoneEmphasis": "5GN9", "SmallAreaLowGrayLevelEmphasis": "5RAI",
        "SmallAreaHighGrayLevelEmphasis": "HW1V", "LargeAreaLowGrayLevelEmphasis": "YH51",
        "LargeAreaHighGrayLevelEmphasis": "J17V", "GrayLevelNonUniformity": "JNSA",
        "GrayLevelNonUniformityNormalized": "Y1RO", "SizeZoneNonUniformity": "4JP3",
        "SizeZoneNonUniformityNormalized": "VB3A", "ZonePercentage": "P30P", "GrayLevelVariance": "BYLV",
        "ZoneVariance": "3NSA", "ZoneEntropy": "GU8N",
    },
    "gldm": {
        "SmallDependenceEmphasis": "SODN", "LargeDependenceEmphasis": "IMOQ", "LowGrayLevelEmphasis": "TL9H",
        "HighGrayLevelEmphasis": "OAE7", "SmallDependenceLowGrayLevelEmphasis": "EQ3F",
        "SmallDependenceHighGrayLevelEmphasis": "JA6D", "LargeDependenceLowGrayLevelEmphasis": "NBZI",
        "LargeDependenceHighGrayLevelEmphasis": "9QMG", "GrayLevelNonUniformity": "FP8K",
        "DependenceNonUniformity": "Z87G", "DependenceNonUniformityNormalized": "OKJI", "GrayLevelVariance": "1PFV",
        "DependenceVariance": "DNX2", "DependenceEntropy": "FCBV",
    },
    "ngtdm": {
        "Coarseness": "QCDE", "Contrast": "65HE", "Busyness": "NQ30", "Complexity": "HDEZ", "Strength": "1X9X",
    },
}  # fmt: skip


def ibsi_code(feature: str) -> str:
    """Code of a feature such as "original_glcm_Contrast"; empty where the standard has none for it."""
    _, family, name = feature.rsplit("_", 2)
    return CODES.get(family, {}).get(name, "")
