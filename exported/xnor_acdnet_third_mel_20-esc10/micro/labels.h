#ifndef LABELS_H_
#define LABELS_H_

extern const char* const g_labels[];
extern const unsigned int g_labels_len;

#endif  // LABELS_H_
