// As much of TFLM's interface as exported sources call, with the recorded run in place of the kernels.
//
// Inputs and outputs of both models begin at the arena's beginning, as in TFLM: each run destroys what the other left.
// SCHEMA_VERSION, OTHER_MODEL and WRONG_BYTE are what a test makes go wrong.
#pragma once

#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>

#if __has_include("body.h")
#include "body.h"
#else
constexpr const unsigned char* g_body = nullptr;  // it is C code
#endif
#include "recorded.h"

#ifndef SCHEMA_VERSION
#define SCHEMA_VERSION 3
#endif
#define TFLITE_SCHEMA_VERSION (3)

enum TfLiteStatus { kTfLiteOk, kTfLiteError };

struct TfLiteTensor {
  struct {
    char* raw;
  } data;
  std::size_t bytes;
};

inline void MicroPrintf(const char* format, ...) {
  va_list args;
  va_start(args, format);
  std::vprintf(format, args);
  va_end(args);
  std::printf("\n");
}

namespace tflite {

struct Model {
  unsigned version() const { return SCHEMA_VERSION; }
};

inline const Model* GetModel(const void* file) { return static_cast<const Model*>(file); }

struct MicroOpResolver {
  unsigned added = 0;
};

template <unsigned tOpCount>
struct MicroMutableOpResolver : MicroOpResolver {
  TfLiteStatus Add() { return added++ < tOpCount ? kTfLiteOk : kTfLiteError; }
  TfLiteStatus AddConv2D() { return Add(); }
  TfLiteStatus AddFullyConnected() { return Add(); }
  TfLiteStatus AddMaxPool2D() { return Add(); }
  TfLiteStatus AddMean() { return Add(); }
  TfLiteStatus AddQuantize() { return Add(); }
  TfLiteStatus AddReshape() { return Add(); }
  TfLiteStatus AddSoftmax() { return Add(); }
  TfLiteStatus AddTranspose() { return Add(); }
};

struct MicroAllocator {
  static MicroAllocator* Create(std::uint8_t* arena, std::size_t bytes) {
    static MicroAllocator allocator;
    allocator = {arena, arena + bytes};
    return &allocator;
  }
  void* AllocatePersistentBuffer(std::size_t bytes) { return tail -= bytes; }
  std::size_t used_bytes() const { return 0; }
  std::uint8_t* head;
  std::uint8_t* tail;
};

class MicroInterpreter {
 public:
  MicroInterpreter(const Model* model, const MicroOpResolver& resolver, MicroAllocator* allocator)
      : is_body_(static_cast<const void*>(model) == g_body), resolver_(resolver), allocator_(*allocator) {
    input_.bytes = is_body_ ? recorded::kWindowBytes : zoo::kColumnFieldSamples * sizeof(std::int16_t);
    output_.bytes = is_body_ ? zoo::kClasses * sizeof(zoo::Score) : recorded::kColumnBytes;
#ifdef OTHER_MODEL
    ++output_.bytes;
#endif
  }

  TfLiteStatus AllocateTensors() {
    input_.data.raw = reinterpret_cast<char*>(allocator_.head);
    output_.data.raw = input_.data.raw + input_.bytes;
    const std::ptrdiff_t room = allocator_.tail - allocator_.head;
    return resolver_.added && static_cast<std::ptrdiff_t>(input_.bytes + output_.bytes) <= room ? kTfLiteOk : kTfLiteError;
  }

  TfLiteStatus Reset() {
    is_reset_ = true;
    return kTfLiteOk;
  }

  // Refused where a state would be left of the run before.
  TfLiteStatus Invoke() {
    if (!is_reset_) return kTfLiteError;
    is_reset_ = false;
    const void* made = is_body_ ? static_cast<const void*>(recorded::ScoresOf(input_.data.raw))
                                : recorded::ColumnOf(input_.data.raw);
    if (made == nullptr) return kTfLiteError;
    std::memcpy(output_.data.raw, made, output_.bytes);
    std::memset(input_.data.raw, 0x55, input_.bytes);
#ifdef WRONG_BYTE
    if (made == g_golden_scores) output_.data.raw[output_.bytes - 1] ^= 1;
#endif
    return kTfLiteOk;
  }

  TfLiteTensor* input(std::size_t) { return &input_; }
  TfLiteTensor* output(std::size_t) { return &output_; }

 private:
  bool is_body_, is_reset_ = false;
  const MicroOpResolver& resolver_;
  MicroAllocator& allocator_;
  TfLiteTensor input_, output_;
};

}  // namespace tflite
