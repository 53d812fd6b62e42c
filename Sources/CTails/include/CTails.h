#pragma once

#ifdef __cplusplus
extern "C" {
#endif

/// P(X > x) of the chi-square distribution; degrees > 0, x >= 0.
double tails_chi_square_upper(double degrees, double x);
/// The x of which P(X > x) = p, 0 < p < 1.
double tails_chi_square_upper_inverse(double degrees, double p);
/// P(Z > x) of the standard normal distribution.
double tails_normal_upper(double x);
/// The x of which P(Z > x) = p, 0 < p < 1.
double tails_normal_upper_inverse(double p);

#ifdef __cplusplus
}
#endif
