#ifndef FRONTEND_H_
#define FRONTEND_H_

alignas(16) extern const unsigned char g_frontend[];
extern const unsigned int g_frontend_len;

#endif  // FRONTEND_H_
