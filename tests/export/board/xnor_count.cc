// Runs xnor.c and the same network in float32 once each, and prints the scores, the instructions that each took, and
// how many signs before the last layer the two have otherwise.
//
// With QEMU's -icount shift=0 an instruction takes a nanosecond, and the 25 MHz timer of the core counts 40 of them.
#include <cstdio>

#include "float_body.h"
#include "float_layers.h"
#include "xnor.h"

namespace {

volatile std::uint32_t* const kControl = reinterpret_cast<std::uint32_t*>(0xE000E010);
volatile std::uint32_t* const kReload = reinterpret_cast<std::uint32_t*>(0xE000E014);
volatile std::uint32_t* const kCurrent = reinterpret_cast<std::uint32_t*>(0xE000E018);
constexpr std::uint32_t kTicks = 0xFFFFFF;
constexpr unsigned kInstructionsPerTick = 40;

void Start() {
  *kReload = kTicks;
  *kCurrent = 0;
  *kControl = 5;
}

unsigned Instructions() { return (kTicks - *kCurrent) * kInstructionsPerTick; }

std::uint32_t scratch[XNOR_SCRATCH_WORDS];
std::int16_t scores[XNOR_CLASSES];
float maps[2][kFloatMap];

}  // namespace

int main() {
  Start();
  xnor_scores(g_columns, scores, scratch);
  const unsigned counted = Instructions();
  for (std::int16_t score : scores) std::printf("%d ", score);

  Start();
  const float* taken = g_image;
  int at = 0;
  for (const FloatLayer& layer : g_float_layers) {
    float_layer(&layer.shape, taken, layer.weights, layer.thresholds, maps[at]);
    taken = maps[at];
    at = 1 - at;
  }
  const unsigned in_float = Instructions();
  unsigned unlike = 0;
  for (unsigned i = 0; i < kSums; ++i) unlike += taken[i] != g_sums[i];
  std::printf("\n%u\n%u\n%u\n", counted, in_float, unlike);
  return 0;
}
