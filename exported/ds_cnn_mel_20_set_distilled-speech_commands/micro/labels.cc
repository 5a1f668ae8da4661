#include "labels.h"

const char* const g_labels[] = {
    "down",
    "go",
    "left",
    "no",
    "off",
    "on",
    "right",
    "stop",
    "up",
    "yes",
    "silence",
    "unknown",
};
const unsigned int g_labels_len = 12;
