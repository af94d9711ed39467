// A Grand Challenge algorithm in one static file: bright is 1. Its first argument says how it shall misbehave.
// It reads /input/inputs.json and the one image that this names, and writes a mask and what it knows of the network.
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *INPUT = "/input/images/cardiac-mri/", *OUTPUT = "/output/images/heart-segmentation/";

static int fail(const char *why) {
  fprintf(stderr, "reading\n%s\n", why);
  return 3;
}

static int interfaces(void) {  // lines of /proc/net/dev beside its two headings
  FILE *file = fopen("/proc/net/dev", "r");
  char line[512];
  int lines = -2;
  while (file && fgets(line, sizeof line, file)) lines++;
  return lines;
}

int main(int count, char **words) {
  const char *how = count > 1 ? words[1] : "";
  static char listed[65536], name[256], header[4096];
  FILE *file = fopen("/input/inputs.json", "r");
  if (!file || !fread(listed, 1, sizeof listed - 1, file)) return fail("no inputs.json");
  if (!strstr(listed, "\"slug\": \"cardiac-mri\"")) return fail("no socket");
  char *at = strstr(listed, "\"name\": \"");
  if (!at || sscanf(at + 9, "%255[^\"]", name) != 1) return fail("no image in inputs.json");
  if (!strcmp(how, "crash")) return fail("the sky is \x1b[31mfalling");
  if (!strcmp(how, "slow")) pause();
  if (!strcmp(how, "weights") && !fopen("/opt/ml/model/net/weights.bin", "r")) return fail("no weights");
  if (!strcmp(how, "greedy"))
    for (;;) memset(malloc(1 << 20), 1, 1 << 20);
  if (fopen("/escaped", "w") || !geteuid()) return fail("the root is not read-only, or I am root");

  char path[1024];
  snprintf(path, sizeof path, "%s%s", INPUT, name);
  FILE *image = fopen(path, "rb");
  if (!image) return fail("no image");
  long size[4] = {1, 1, 1, 1}, voxels = 0;
  int whole = 0;  // numbers of 16 bits, as scanners give them, or floating point
  mkdir("/output/images", 0755);
  mkdir(OUTPUT, 0755);
  snprintf(path, sizeof path, "%soutput.mha", OUTPUT);
  if (!strcmp(how, "link")) return symlink("/etc/passwd", path);
  FILE *mask = fopen(path, "wb");
  if (!mask) return fail("no output");
  while (fgets(header, sizeof header, image)) {
    if (sscanf(header, "DimSize = %ld %ld %ld %ld", size, size + 1, size + 2, size + 3) > 0)
      voxels = size[0] * size[1] * size[2] * size[3];
    if (!strcmp(header, "ElementType = MET_SHORT\n")) whole = 1;
    if (!strncmp(header, "ElementType", 11)) fputs("ElementType = MET_UCHAR\n", mask);
    else if (!strncmp(header, "Offset", 6) && !strcmp(how, "elsewhere")) fputs("Offset = 1 2 3\n", mask);
    else fputs(header, mask);
    if (!strncmp(header, "ElementDataFile", 15)) break;
  }
  float value = 0;
  for (short number; voxels > 0; voxels--) {
    if (whole ? fread(&number, 2, 1, image) != 1 : fread(&value, 4, 1, image) != 1) break;
    fputc((whole ? number : value) > 200, mask);
  }
  fclose(mask);
  file = fopen("/output/interfaces.json", "w");
  fprintf(file, "%d", interfaces());
  fclose(file);
  file = fopen("/output/score.json", "w");
  fputs("NaN", file);
  fclose(file);
  return 0;
}
