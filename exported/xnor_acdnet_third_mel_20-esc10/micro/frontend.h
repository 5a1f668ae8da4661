/* The log-mel front end: 16-bit PCM in, one of the columns that body.tflite takes out. The next column begins
   FRONTEND_STRIDE_SAMPLES later.

   Made by the Edge Audio Zoo (zoo/export/log_mel_c.py). */
#ifndef FRONTEND_H_
#define FRONTEND_H_

#include <stdint.h>

#define FRONTEND_FIELD_SAMPLES 800
#define FRONTEND_STRIDE_SAMPLES 320
#define FRONTEND_MELS 20
#define FRONTEND_SCALE 0.381779939f /* a column's value stands for FRONTEND_SCALE * (value - FRONTEND_ZERO_POINT) */
#define FRONTEND_ZERO_POINT (-128)
#define FRONTEND_SCRATCH_FLOATS 1025

typedef int8_t frontend_value;

#ifdef __cplusplus
extern "C" {
#endif

/* pcm: FRONTEND_FIELD_SAMPLES samples. column: FRONTEND_MELS values.
   scratch: FRONTEND_SCRATCH_FLOATS floats that nobody else uses meanwhile; they keep nothing between two calls. */
void frontend_column(const int16_t *pcm, frontend_value *column, float *scratch);

#ifdef __cplusplus
}
#endif

#endif /* FRONTEND_H_ */
