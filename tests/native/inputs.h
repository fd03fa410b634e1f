/* Inputs that several scenarios read, and the hash of their outputs. */
#ifndef FASTMML_INPUTS_H
#define FASTMML_INPUTS_H

#include "fastmml.h"

enum {
    NODES = 3000,
    DEGREE = 50,
    LINKS = NODES * DEGREE, /* three tiles and three blocks of rank_pull */
    VECTORS = 4,
};

/* A graph whose nodes all have DEGREE in-links, and VECTORS + 1 vectors over its nodes. */
extern int64_t indptr[NODES + 1];
extern uint32_t sources[LINKS];
extern double link_weights[LINKS], vectors[(VECTORS + 1) * NODES];

void fold(uint64_t *digest, const void *data, size_t size);
#define FOLD_ARRAY(digest, array) fold(digest, array, sizeof(array))

#endif
