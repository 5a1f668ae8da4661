/* The same network in float32, as plain loops: what counted bits are held against. */
#ifndef FLOAT_LAYERS_H_
#define FLOAT_LAYERS_H_

#include "xnor_layers.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Convolution and maximum: 1 where a sum reaches its filter's threshold, else -1; without thresholds the sums.
   in: rows x columns x channels. weights: of each filter its taps. */
void float_layer(const xnor_shape *shape, const float *in, const float *weights, const float *thresholds, float *out);

#ifdef __cplusplus
}
#endif

#endif /* FLOAT_LAYERS_H_ */
