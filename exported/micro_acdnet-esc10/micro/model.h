#ifndef MODEL_H_
#define MODEL_H_

alignas(16) extern const unsigned char g_model[];
extern const unsigned int g_model_len;

#endif  // MODEL_H_
