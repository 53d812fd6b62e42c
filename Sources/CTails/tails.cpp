#include "CTails.h"

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
