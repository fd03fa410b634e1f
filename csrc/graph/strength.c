/* Out-strength of every node from its links in in-link form: one pass over the links.
 *
 * Counting is exact in any order. Weights are added in the order of the links with Neumaier's
 * compensation (Z. Angew. Math. Mech. 54, 1974), so a node's strength is right to a few ulp
 * whatever its degree, which the error bound of PageRank relies on.
 * Cost: 4 bytes a link read (12 with weights) and one random access to the node's sum.
 */
#include "../runtime.h"

#include <math.h>
#include <string.h>

enum { BLOCK_LINKS = 1 << 20 };

static void count_block(ptrdiff_t links, const uint32_t *indices, double *strength)
{
    for (ptrdiff_t k = 0; k < links; k++)
        strength[indices[k]] += 1;
}

static void add_block(ptrdiff_t links, const uint32_t *indices, const double *weights,
                      double *strength, double *carry)
{
    for (ptrdiff_t k = 0; k < links; k++) {
        uint32_t j = indices[k];
        double old = strength[j], weight = weights[k], sum = old + weight;
        carry[j] += fabs(old) >= fabs(weight) ? (old - sum) + weight : (weight - sum) + old;
        strength[j] = sum;
    }
}

fml_status fml_out_strength(ptrdiff_t n, ptrdiff_t edges, const uint32_t *indices,
                            const double *weights, double *strength)
{
    double *carry = weights ? fml_alloc(n, sizeof *carry) : NULL;
    if (weights && !carry)
        return FML_NO_MEMORY;
    memset(strength, 0, (size_t)n * sizeof *strength);
    if (carry)
        memset(carry, 0, (size_t)n * sizeof *carry);
    fml_watch watch;
    fml_watch_start(&watch);
    for (ptrdiff_t start = 0; start < edges && !fml_stopped(&watch); start += BLOCK_LINKS) {
        ptrdiff_t links = edges - start < BLOCK_LINKS ? edges - start : BLOCK_LINKS;
        if (carry)
            add_block(links, indices + start, weights + start, strength, carry);
        else
            count_block(links, indices + start, strength);
    }
    for (ptrdiff_t j = 0; carry && j < n; j++)
        strength[j] += carry[j];
    fml_free(carry);
    return fml_watch_status(&watch);
}
