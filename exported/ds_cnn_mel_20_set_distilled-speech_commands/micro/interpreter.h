// One .tflite model in TFLM, on an arena that models share.
#ifndef ZOO_INTERPRETER_H_
#define ZOO_INTERPRETER_H_

#include <cstddef>

#include "settings.h"
#include "tensorflow/lite/micro/micro_allocator.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_log.h"
#include "tensorflow/lite/micro/micro_op_resolver.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace zoo {

class Interpreter {
 public:
  Interpreter(const char* name, const unsigned char* model, const tflite::MicroOpResolver& resolver,
              tflite::MicroAllocator* allocator)
      : name_(name), model_(tflite::GetModel(model)), interpreter_(model_, resolver, allocator) {}

  // Whether the model stands ready, with an input and an output of these sizes; a line in the log says why not.
  bool Begin(std::size_t input_bytes, std::size_t output_bytes) {
    if (model_->version() != TFLITE_SCHEMA_VERSION) {
      MicroPrintf("%s: schema version %d, but this TFLM reads version %d", name_, static_cast<int>(model_->version()),
                  TFLITE_SCHEMA_VERSION);
      return false;
    }
    if (interpreter_.AllocateTensors() != kTfLiteOk) {
      MicroPrintf("%s: no room in the arena; raise kArenaBytes in settings.h, now %d", name_,
                  static_cast<int>(kArenaBytes));
      return false;
    }
    if (interpreter_.input(0)->bytes != input_bytes || interpreter_.output(0)->bytes != output_bytes) {
      MicroPrintf("%s: not the model that settings.h was written for", name_);
      return false;
    }
    return true;
  }

  void* Input() { return interpreter_.input(0)->data.raw; }

  // The output, valid until a model on the same arena runs again; nullptr on failure. What a recurrent layer keeps is
  // forgotten first: each run hears a window of its own.
  const void* Run() {
    const bool ran = interpreter_.Reset() == kTfLiteOk && interpreter_.Invoke() == kTfLiteOk;
    return ran ? interpreter_.output(0)->data.raw : nullptr;
  }

 private:
  const char* name_;
  const tflite::Model* model_;
  tflite::MicroInterpreter interpreter_;
};

}  // namespace zoo

#endif  // ZOO_INTERPRETER_H_
