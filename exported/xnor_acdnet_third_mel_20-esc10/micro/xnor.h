/* The body as XNOR-Net: one window of columns in, one score for each label out.

   Made by the Edge Audio Zoo (zoo/export/xnor_c.py). */
#ifndef XNOR_H_
#define XNOR_H_

#include <stdint.h>

#define XNOR_COLUMNS 75
#define XNOR_COLUMN_ROWS 20
#define XNOR_COLUMN_CHANNELS 1
#define XNOR_SCALE 0.381779939f /* a column's value stands for XNOR_SCALE * (value - XNOR_ZERO_POINT) */
#define XNOR_ZERO_POINT (-128)
#define XNOR_CLASSES 10
#define XNOR_SCRATCH_WORDS 591

#ifdef __cplusplus
extern "C" {
#endif

/* columns: XNOR_COLUMNS of XNOR_COLUMN_ROWS x XNOR_COLUMN_CHANNELS values, the oldest first. scores: XNOR_CLASSES probabilities, times 32768.
   scratch: XNOR_SCRATCH_WORDS words that nobody else uses meanwhile; they keep nothing between two calls. */
void xnor_scores(const int8_t *columns, int16_t *scores, uint32_t *scratch);

#ifdef __cplusplus
}
#endif

#endif /* XNOR_H_ */
