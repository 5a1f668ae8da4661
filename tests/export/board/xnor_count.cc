// Runs xnor.c and the same network in float32 once each, and prints the scores, the instructions that each took, and
// how many signs before the last layer the two have otherwise.
#include <cstdio>

#include "clock.h"
#include "float_body.h"
#include "float_layers.h"
#include "xnor.h"

namespace {

std::uint32_t scratch[XNOR_SCRATCH_WORDS];
std::int16_t scores[XNOR_CLASSES];
float maps[2][kFloatMap];

}  // namespace

int main() {
  board_start_clock();
  xnor_scores(g_columns, scores, scratch);
  const unsigned long long counted = board_instructions();
  for (std::int16_t score : scores) std::printf("%d ", score);

  board_start_clock();
  const float* taken = g_image;
  int at = 0;
  for (const FloatLayer& layer : g_float_layers) {
    float_layer(&layer.shape, taken, layer.weights, layer.thresholds, maps[at]);
    taken = maps[at];
    at = 1 - at;
  }
  const unsigned long long in_float = board_instructions();
  unsigned unlike = 0;
  for (unsigned i = 0; i < kSums; ++i) unlike += taken[i] != g_sums[i];
  std::printf("\n%llu\n%llu\n%u\n", counted, in_float, unlike);
  return 0;
}
