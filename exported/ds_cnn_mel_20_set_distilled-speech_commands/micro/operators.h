#ifndef ZOO_OPERATORS_H_
#define ZOO_OPERATORS_H_

#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"

namespace zoo {

using Resolver = tflite::MicroMutableOpResolver<5>;

// Adds what the models use and nothing else; whether all of it could be added.
inline bool AddOperators(Resolver& resolver) {
  return resolver.AddAveragePool2D() == kTfLiteOk &&
         resolver.AddConv2D() == kTfLiteOk &&
         resolver.AddDepthwiseConv2D() == kTfLiteOk &&
         resolver.AddFullyConnected() == kTfLiteOk &&
         resolver.AddSoftmax() == kTfLiteOk;
}

}  // namespace zoo

#endif  // ZOO_OPERATORS_H_
