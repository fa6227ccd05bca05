//! Function 6 of Marzat, Walter and Piet-Lahanier (2013), after Rustem and Howe (2002): four decision
//! variables in [-5, 5], three environment variables in [-2, 2], here on a grid of 6^3 midpoints.

use super::{Function, Synthetic, midpoints};
use crate::environment::{Environments, Finite};
use crate::space::Parameter;

pub(super) fn six() -> Synthetic {
    let names = ["w1", "w2", "w3"].map(str::to_owned).to_vec();
    let grid = midpoints(3, 6);
    let points = grid
        .iter()
        .map(|u| u.iter().map(|v| 4.0 * v - 2.0).collect())
        .collect();
    let environments = Environments::Finite(
        Finite::new(names, points, None, None).expect("a grid of finite points"),
    );
    Synthetic {
        name: "marzat6",
        truth: environments.judging(0),
        environments,
        parameters: ["x1", "x2", "x3", "x4"]
            .map(|n| Parameter::real(n, -5.0, 5.0))
            .to_vec(),
        tail: 0.25,
        noise: 0.0,
        f: Function::Formula(|x, w| {
            let (a, b, c, d) = (x[0], x[1], x[2], x[3]);
            let (e, g, h) = (w[0], w[1], w[2]);
            -(e * (a * a - b + c - d + 2.0)
                + g * (-a + 2.0 * b * b - c * c + 2.0 * d + 1.0)
                + h * (2.0 * a - b + 2.0 * c - d * d + 5.0)
                + 5.0 * a * a
                + 4.0 * b * b
                + 3.0 * c * c
                + 2.0 * d * d
                - e * e
                - g * g
                - h * h)
        }),
        optimum: (-2.709230, vec![-0.172566, 0.182291, -0.546948, -0.094202]),
    }
}
