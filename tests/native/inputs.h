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

/* What a plan of the graph fills, and the plan. */
typedef struct rank_plan_scratch {
    uint32_t indices[LINKS + FML_PLAN_PADDING], earlier[NODES];
    double weights[LINKS + FML_PLAN_PADDING];
} rank_plan_scratch;
fml_rank_plan rank_plan(rank_plan_scratch *scratch);
/* Another number for each node. */
extern uint32_t node_table[NODES];

/* The scenario of every kernel: runs it and adds what it computed to a hash. */
#define DECLARE(name, type) fml_status run_##name##_##type(int threads, uint64_t *digest);
FML_KERNELS(DECLARE, f64)
FML_KERNELS(DECLARE, f32)
FML_KERNELS_F64(DECLARE)
FML_KERNELS_F64X8(DECLARE)
FML_KERNELS_DENSE(DECLARE)
#undef DECLARE

void fold(uint64_t *digest, const void *data, size_t size);
#define FOLD_ARRAY(digest, array) fold(digest, array, sizeof(array))

#endif
