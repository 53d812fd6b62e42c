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
/// P(X <= x) and P(X >= x) of the binomial distribution; 0 <= x <= n, 0 < share < 1.
double tails_binomial_lower(double n, double share, double x);
double tails_binomial_upper(double n, double share, double x);
/// P(T > x) of Student's t distribution; degrees > 0.
double tails_t_upper(double degrees, double x);

#ifdef __cplusplus
}
#endif
