#include "float_layers.h"

static float sum_at(const xnor_shape *s, const float *in, const float *weights, int y, int x)
{
    const int row = y * s->stride_rows - s->top, column = x * s->stride_columns - s->left;
    float sum = 0.0f;
    for (int i = 0; i < s->kernel_rows; i++) {
        for (int j = 0; j < s->kernel_columns; j++) {
            if (row + i < 0 || row + i >= s->rows || column + j < 0 || column + j >= s->columns)
                continue;
            const float *a = in + ((row + i) * s->columns + column + j) * s->channels;
            const float *b = weights + (i * s->kernel_columns + j) * s->channels;
            for (int channel = 0; channel < s->channels; channel++)
                sum += a[channel] * b[channel];
        }
    }
    return sum;
}

void float_layer(const xnor_shape *s, const float *in, const float *weights, const float *thresholds, float *out)
{
    const int taps = s->kernel_rows * s->kernel_columns * s->channels;
    for (int y = 0; y < s->out_rows; y++) {
        for (int x = 0; x < s->out_columns; x++) {
            for (int filter = 0; filter < s->filters; filter++) {
                float most = -1e30f;
                for (int i = 0; i < s->pool_rows; i++) {
                    for (int j = 0; j < s->pool_columns; j++) {
                        const float sum = sum_at(s, in, weights + filter * taps, y * s->pool_rows + i,
                                                 x * s->pool_columns + j);
                        most = sum > most ? sum : most;
                    }
                }
                *out++ = !thresholds ? most : most >= thresholds[filter] ? 1.0f : -1.0f;
            }
        }
    }
}
