#ifndef ZOO_OPERATORS_H_
#define ZOO_OPERATORS_H_

#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"

namespace zoo {

using Resolver = tflite::MicroMutableOpResolver<11>;

// Adds what the models use and nothing else; whether all of it could be added.
inline bool AddOperators(Resolver& resolver) {
  return resolver.AddAveragePool2D() == kTfLiteOk &&
         resolver.AddConcatenation() == kTfLiteOk &&
         resolver.AddConv2D() == kTfLiteOk &&
         resolver.AddFullyConnected() == kTfLiteOk &&
         resolver.AddMaxPool2D() == kTfLiteOk &&
         resolver.AddPad() == kTfLiteOk &&
         resolver.AddQuantize() == kTfLiteOk &&
         resolver.AddReshape() == kTfLiteOk &&
         resolver.AddSlice() == kTfLiteOk &&
         resolver.AddSoftmax() == kTfLiteOk &&
         resolver.AddTranspose() == kTfLiteOk;
}

}  // namespace zoo

#endif  // ZOO_OPERATORS_H_
