#include "labels.h"

const char* const g_labels[] = {
    "dog",
    "rooster",
    "rain",
    "sea_waves",
    "crackling_fire",
    "crying_baby",
    "sneezing",
    "clock_tick",
    "helicopter",
    "chainsaw",
};
const unsigned int g_labels_len = 10;
