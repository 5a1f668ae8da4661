// Runs a model in TFLM on a few inputs, and prints for each the instructions and the output, then those of each operator.
#include <cstdio>
#include <cstring>

#include "clock.h"
#include "inputs.h"
#include "model.h"
#include "operators.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_profiler_interface.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace {

alignas(16) std::uint8_t arena[3 * 1024 * 1024];

// TFLM calls it where its library was built with its log: release_with_logs, not release.
class Profiler : public tflite::MicroProfilerInterface {
 public:
  std::uint32_t BeginEvent(const char* tag) override {
    if (count_ == kMost) return kMost;
    tags_[count_] = tag;
    begun_[count_] = board_instructions();
    return count_++;
  }
  void EndEvent(std::uint32_t event) override {
    if (event < kMost) taken_[event] = board_instructions() - begun_[event];
  }
  void Forget() { count_ = 0; }
  void Print() const {
    for (std::uint32_t i = 0; i < count_; ++i) std::printf("operator %s %llu\n", tags_[i], taken_[i]);
  }

 private:
  static constexpr std::uint32_t kMost = 1000;
  const char* tags_[kMost];
  unsigned long long begun_[kMost], taken_[kMost];
  std::uint32_t count_ = 0;
};

Profiler profiler;

}  // namespace

int main() {
  zoo::Resolver resolver;
  if (!zoo::AddOperators(resolver)) return 2;
  tflite::MicroInterpreter interpreter(tflite::GetModel(g_model), resolver, arena, sizeof arena, nullptr, &profiler);
  if (interpreter.AllocateTensors() != kTfLiteOk) return 3;
  std::printf("arena %u\n", static_cast<unsigned>(interpreter.arena_used_bytes()));

  TfLiteTensor* const input = interpreter.input(0);
  const TfLiteTensor* const output = interpreter.output(0);
  for (unsigned at = 0; at < g_inputs_len; at += input->bytes) {
    std::memcpy(input->data.raw, g_inputs + at, input->bytes);
    profiler.Forget();
    board_start_clock();
    if (interpreter.Invoke() != kTfLiteOk) return 4;
    std::printf("instructions %llu\noutput ", board_instructions());
    for (std::size_t i = 0; i < output->bytes; ++i) std::printf("%02x", static_cast<std::uint8_t>(output->data.raw[i]));
    std::printf("\n");
  }
  profiler.Print();
  return 0;
}
