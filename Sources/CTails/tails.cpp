#include "CTails.h"

#include <boost/math/special_functions/beta.hpp>
#include <boost/math/special_functions/erf.hpp>
#include <boost/math/special_functions/gamma.hpp>
#include <boost/math/policies/policy.hpp>
#include <cmath>

namespace {
namespace policies = boost::math::policies;
// No exception crosses into Swift: what is out of range gives infinity, zero or NaN.
using quiet = policies::policy<
    policies::domain_error<policies::ignore_error>, policies::pole_error<policies::ignore_error>,
    policies::overflow_error<policies::ignore_error>,
    policies::underflow_error<policies::ignore_error>,
    policies::denorm_error<policies::ignore_error>,
    policies::evaluation_error<policies::ignore_error>,
    policies::rounding_error<policies::ignore_error>,
    policies::indeterminate_result_error<policies::ignore_error>,
    policies::promote_double<false>, policies::promote_float<false>>;
constexpr double root_half = 0.70710678118654752440;
}  // namespace

double tails_chi_square_upper(double degrees, double x) {
    return boost::math::gamma_q(degrees / 2, x / 2, quiet());
}

double tails_chi_square_upper_inverse(double degrees, double p) {
    return 2 * boost::math::gamma_q_inv(degrees / 2, p, quiet());
}

double tails_normal_upper(double x) {
    return boost::math::erfc(x * root_half, quiet()) / 2;
}

double tails_normal_upper_inverse(double p) {
    return boost::math::erfc_inv(2 * p, quiet()) / root_half;
}

double tails_binomial_lower(double n, double share, double x) {
    return x >= n ? 1 : boost::math::ibetac(x + 1, n - x, share, quiet());
}

double tails_binomial_upper(double n, double share, double x) {
    return x <= 0 ? 1 : boost::math::ibeta(x, n - x + 1, share, quiet());
}

double tails_t_upper(double degrees, double x) {
    // Of the two forms the one that does not lose the digits of a small argument.
    const double square = x * x;
    const double tail = square < degrees
        ? boost::math::ibetac(0.5, degrees / 2, square / (degrees + square), quiet()) / 2
        : boost::math::ibeta(degrees / 2, 0.5, degrees / (degrees + square), quiet()) / 2;
    return x < 0 ? 1 - tail : tail;
}
