#ifndef BODY_H_
#define BODY_H_

alignas(16) extern const unsigned char g_body[];
extern const unsigned int g_body_len;

#endif  // BODY_H_
