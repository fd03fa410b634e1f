/* One column, or several side by side: CMake sets FML_COLUMNS to 1 or to 8.
 *
 * A `number` holds the values of all columns, so that a kernel written over numbers solves several
 * systems in one walk over the links. With one column it is a plain `real`. Several may be wider
 * than a register: functions that take or return them are inlined. */
#ifndef FASTMML_COLUMNS_H
#define FASTMML_COLUMNS_H

#include "kernel.h"

#if FML_COLUMNS == 1

typedef real number;
typedef double wide;  /* the values of a number in double ... */
typedef float narrow; /* ... and in single precision */
#define FML_CONVERT(v, type) ((type)(v))

static inline number fml_keep_all_if(bool keep, number v)
{
    return fml_keep_if(keep, v);
}

static inline number fml_abs(number v)
{
    return v < 0 ? -v : v;
}

/* 0 for negative ones; NaN stays. */
static inline number fml_not_negative(number v)
{
    return v < 0 ? 0 : v;
}

#else

#define FML_ROW(type) \
    __attribute__((vector_size(FML_COLUMNS * sizeof(type)), aligned(sizeof(type))))
typedef real number FML_ROW(real);
typedef double wide FML_ROW(double);
typedef float narrow FML_ROW(float);
typedef mask masks FML_ROW(mask);
#define FML_CONVERT(v, type) __builtin_convertvector(v, type)

FML_INLINE number fml_keep_all_if(bool keep, number v)
{
    return (number)((masks)v & -(mask)keep);
}

FML_INLINE number fml_abs(number v)
{
    masks negative = v < 0;
    return (number)(((masks)v & ~negative) | ((masks)-v & negative));
}

FML_INLINE number fml_not_negative(number v)
{
    return (number)((masks)v & ~(masks)(v < 0));
}

#endif

static inline double fml_column(const wide *v, int column)
{
    return ((const double *)v)[column];
}

static inline void fml_set_column(wide *v, int column, double value)
{
    ((double *)v)[column] = value;
}

/* fml_sum_pairwise for every column. */
static inline void fml_sum_columns(const wide *parts, ptrdiff_t count, wide *sum)
{
    *sum = (wide){0};
    if (count <= 8) {
        for (ptrdiff_t i = 0; i < count; i++)
            *sum += parts[i];
        return;
    }
    wide second;
    fml_sum_columns(parts, count / 2, sum);
    fml_sum_columns(parts + count / 2, count - count / 2, &second);
    *sum += second;
}

#endif
