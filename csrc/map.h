/* The PageRank map of a row: what rank_pull and rank_image compute. */
#ifndef FASTMML_MAP_H
#define FASTMML_MAP_H

#include "links.h"

typedef struct map {
    const int64_t *indptr;
    links links;
    const number *teleport, *jump;
    ptrdiff_t teleport_stride, jump_stride;
    number jumping, stay; /* factors of jump and teleport */
    real damping;
    int64_t last_full; /* four links can be read at or before */
} map;

/* A factor of each column. */
static inline void fml_set_factors(number *factors, double factor, const double *of_column)
{
    wide all;
    for (int column = 0; column < FML_COLUMNS; column++)
        fml_set_column(&all, column, factor * of_column[column]);
    *factors = FML_CONVERT(all, number);
}

/* The map with constants for whether there are weights, and whether the teleport and the jump are
 * single numbers: inlined, so that the loop over rows tests neither. */
FML_INLINE map fml_map_where(const map *m, bool weighted, bool uniform)
{
    map constant = *m;
    constant.links.weights = weighted ? m->links.weights : NULL;
    constant.teleport_stride = uniform ? 0 : m->teleport_stride;
    constant.jump_stride = uniform ? 0 : m->jump_stride;
    return constant;
}

static inline bool fml_map_is_uniform(const map *m)
{
    return m->teleport_stride == 0 && m->jump_stride == 0;
}

FML_INLINE number fml_map_row(const map *m, ptrdiff_t i)
{
    int64_t first = m->indptr[i], last = m->indptr[i + 1];
    number sum = last <= m->last_full ? fml_sum_links(m->links, first, last)
                                      : fml_sum_one_by_one(m->links, first, last);
    number base =
        m->jumping * m->jump[i * m->jump_stride] + m->stay * m->teleport[i * m->teleport_stride];
    return m->damping * sum + base;
}

#endif
