//! The convolution against candle's own, against finite differences and against itself on other
//! numbers of threads (tests only).

use candle_core::{Device, Tensor, Var};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::extent::Extent;
use super::lanes::Width;
use super::slope::weight_gradient;
use super::stencil::Stencil;
use super::{Convolution, Transposed, direct, winograd};

fn random(shape: &[usize], seed: u64) -> Tensor {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let values: Vec<f32> = (0..shape.iter().product())
        .map(|_| (rng.next_u32() >> 8) as f32 / (1u32 << 23) as f32 - 1.0)
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn distance(a: &Tensor, b: &Tensor) -> f32 {
    assert_eq!(a.dims(), b.dims());
    (a - b)
        .unwrap()
        .abs()
        .unwrap()
        .flatten_all()
        .unwrap()
        .max(0)
        .unwrap()
        .to_scalar()
        .unwrap()
}

/// (channels, outputs, kernel, height, width, how)
fn cases() -> Vec<(usize, usize, usize, usize, usize, Convolution)> {
    let plain = Convolution::default();
    vec![
        (
            3,
            5,
            3,
            17,
            23,
            Convolution {
                padding: 1,
                ..plain
            },
        ),
        (
            4,
            6,
            3,
            16,
            22,
            Convolution {
                padding: 1,
                stride: 2,
                ..plain
            },
        ),
        (
            4,
            6,
            3,
            17,
            21,
            Convolution {
                padding: 1,
                stride: 2,
                relu: true,
                ..plain
            },
        ),
        (
            3,
            4,
            3,
            20,
            19,
            Convolution {
                padding: 5,
                dilation: 5,
                ..plain
            },
        ),
        (
            3,
            2,
            3,
            12,
            9,
            Convolution {
                padding: 11,
                dilation: 11,
                ..plain
            },
        ),
        (7, 3, 1, 13, 11, plain),
        (2, 3, 1, 13, 11, Convolution { stride: 2, ..plain }),
        (
            3,
            3,
            5,
            14,
            15,
            Convolution {
                relu: true,
                ..plain
            },
        ),
        (
            4,
            4,
            3,
            15,
            18,
            Convolution {
                padding: 1,
                groups: 4,
                ..plain
            },
        ),
        (
            4,
            4,
            5,
            15,
            18,
            Convolution {
                padding: 2,
                groups: 4,
                relu: true,
                ..plain
            },
        ),
        (
            4,
            4,
            3,
            16,
            18,
            Convolution {
                padding: 1,
                stride: 2,
                groups: 4,
                ..plain
            },
        ),
        (
            64,
            136,
            3,
            30,
            37,
            Convolution {
                padding: 1,
                ..plain
            },
        ),
    ]
}

/// candle's own convolution; depthwise as an ordinary one with zeros, since candle's gradient of
/// a grouped convolution with a stride has the wrong shape.
fn reference(x: &Tensor, weight: &Tensor, how: Convolution) -> Tensor {
    let weight = if how.groups > 1 {
        let eye = Tensor::eye(how.groups, candle_core::DType::F32, &Device::Cpu).unwrap();
        let eye = eye.reshape((how.groups, how.groups, 1, 1)).unwrap();
        weight.broadcast_mul(&eye).unwrap()
    } else {
        weight.clone()
    };
    x.conv2d(&weight, how.padding, how.stride, how.dilation, 1)
        .unwrap()
}

#[test]
fn agrees_with_candle_forward_and_backward() {
    for (i, (c, o, k, h, w, how)) in cases().into_iter().enumerate() {
        let x = Var::from_tensor(&random(&[2, c, h, w], i as u64)).unwrap();
        let weight = Var::from_tensor(&random(&[o, c / how.groups, k, k], 100 + i as u64)).unwrap();
        let bias = Var::from_tensor(&random(&[o], 200 + i as u64)).unwrap();
        let ours = how.apply(&x, &weight, &bias).unwrap();
        let theirs = reference(&x, &weight, how);
        let theirs = theirs
            .broadcast_add(&bias.reshape((1, o, 1, 1)).unwrap())
            .unwrap();
        let theirs = if how.relu {
            theirs.relu().unwrap()
        } else {
            theirs
        };
        let scale = 1.0 + distance(&theirs, &theirs.zeros_like().unwrap());
        assert!(
            distance(&ours, &theirs) < 1e-5 * scale,
            "forward, case {i}: {} of {scale}",
            distance(&ours, &theirs)
        );
        let seen = random(ours.dims(), 300 + i as u64);
        let ours = (ours * &seen)
            .unwrap()
            .sum_all()
            .unwrap()
            .backward()
            .unwrap();
        let theirs = (theirs * &seen)
            .unwrap()
            .sum_all()
            .unwrap()
            .backward()
            .unwrap();
        for (name, var) in [("image", &x), ("weight", &weight), ("bias", &bias)] {
            let (a, b) = (ours.get(var).unwrap(), theirs.get(var).unwrap());
            let scale = 1.0 + distance(b, &b.zeros_like().unwrap());
            assert!(
                distance(a, b) < 1e-4 * scale,
                "gradient of {name}, case {i}: {}",
                distance(a, b)
            );
        }
    }
}

#[test]
fn the_transpose_agrees_with_candle_forward_and_backward() {
    for (i, (c, o, k, stride, padding)) in [
        (3, 5, 2, 2, 0),
        (16, 4, 4, 2, 1),
        (2, 3, 8, 2, 3),
        (1, 1, 16, 2, 7),
        (2, 3, 3, 1, 1),
        (2, 3, 5, 3, 2),
    ]
    .into_iter()
    .enumerate()
    {
        let how = Transposed { stride, padding };
        let x = Var::from_tensor(&random(&[2, c, 9, 11], i as u64)).unwrap();
        let weight = Var::from_tensor(&random(&[c, o, k, k], 100 + i as u64)).unwrap();
        let bias = Var::from_tensor(&random(&[o], 200 + i as u64)).unwrap();
        let ours = how.apply(&x, &weight, &bias).unwrap();
        let theirs = x.conv_transpose2d(&weight, padding, 0, stride, 1).unwrap();
        let theirs = theirs
            .broadcast_add(&bias.reshape((1, o, 1, 1)).unwrap())
            .unwrap();
        assert!(distance(&ours, &theirs) < 1e-4, "forward, case {i}");
        // candle's own gradient of this operation is checked nowhere: the transpose of a linear map
        // satisfies <y(x), s> = <x, gradient of x> instead, and so does the weight
        let seen = random(ours.dims(), 300 + i as u64);
        let plain = theirs
            .broadcast_sub(&bias.reshape((1, o, 1, 1)).unwrap())
            .unwrap();
        let inner = (plain * &seen).unwrap().sum_all().unwrap();
        let inner = inner.to_scalar::<f32>().unwrap();
        let grads = (ours * &seen)
            .unwrap()
            .sum_all()
            .unwrap()
            .backward()
            .unwrap();
        for var in [&x, &weight] {
            let turned = (grads.get(var).unwrap() * var.as_tensor()).unwrap();
            let turned = turned.sum_all().unwrap().to_scalar::<f32>().unwrap();
            assert!(
                (turned - inner).abs() < 1e-3 * (1.0 + inner.abs()),
                "case {i}"
            );
        }
        let sums = seen.sum((0, 2, 3)).unwrap();
        assert!(distance(grads.get(&bias).unwrap(), &sums) < 1e-3);
    }
    let too_small = Transposed {
        stride: 2,
        padding: 2,
    };
    let (x, weight) = (random(&[1, 2, 1, 1], 0), random(&[2, 2, 4, 4], 0));
    assert!(too_small.apply(&x, &weight, &random(&[2], 0)).is_err());
}

#[test]
fn gradients_agree_with_finite_differences() {
    let how = Convolution {
        padding: 1,
        stride: 2,
        ..Convolution::default()
    };
    let (x, weight, bias) = (
        random(&[1, 2, 7, 8], 1),
        random(&[3, 2, 3, 3], 2),
        random(&[3], 3),
    );
    let value = |x: &Tensor, w: &Tensor| {
        let y = how.apply(x, w, &bias).unwrap();
        f64::from(
            y.sqr()
                .unwrap()
                .sum_all()
                .unwrap()
                .to_scalar::<f32>()
                .unwrap(),
        )
    };
    let (vx, vw) = (
        Var::from_tensor(&x).unwrap(),
        Var::from_tensor(&weight).unwrap(),
    );
    let y = how
        .apply(&vx, &vw, &bias)
        .unwrap()
        .sqr()
        .unwrap()
        .sum_all()
        .unwrap();
    let grads = y.backward().unwrap();
    for (tensor, var, which) in [(&x, &vx, 0), (&weight, &vw, 1)] {
        let analytic = grads
            .get(var)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap();
        let flat = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for i in (0..flat.len()).step_by(5) {
            let moved = |by: f32| {
                let mut v = flat.clone();
                v[i] += by;
                let t = Tensor::from_vec(v, tensor.shape(), &Device::Cpu).unwrap();
                if which == 0 {
                    value(&t, &weight)
                } else {
                    value(&x, &t)
                }
            };
            let slope = (moved(1e-2) - moved(-1e-2)) / 2e-2;
            assert!(
                (slope - f64::from(analytic[i])).abs() < 1e-2 * (1.0 + slope.abs()),
                "{slope} {}",
                analytic[i]
            );
        }
    }
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let how = Convolution {
        padding: 1,
        ..Convolution::default()
    };
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let x = Var::from_tensor(&random(&[2, 16, 60, 70], 1)).unwrap();
            let w = Var::from_tensor(&random(&[8, 16, 3, 3], 2)).unwrap();
            let b = Var::from_tensor(&random(&[8], 3)).unwrap();
            let grads = how
                .apply(&x, &w, &b)
                .unwrap()
                .sqr()
                .unwrap()
                .backward()
                .unwrap();
            [&x, &w].map(|v| {
                grads
                    .get(v)
                    .unwrap()
                    .flatten_all()
                    .unwrap()
                    .to_vec1::<f32>()
                    .unwrap()
            })
        })
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn all_widths_of_vectors_agree() {
    let e = Extent {
        n: 2,
        c: 19,
        h: 13,
        w: 85,
        o: 13,
        kh: 3,
        kw: 3,
        oh: 15,
        ow: 87,
        stride: 1,
        padding: 2,
        dilation: 1,
        depthwise: false,
    };
    let plain = |shape: &[usize], seed| {
        let tensor = random(shape, seed).flatten_all().unwrap();
        tensor.to_vec1::<f32>().unwrap()
    };
    let (x, weight) = (plain(&[2, 19, 13, 85], 1), plain(&[13, 19, 3, 3], 2));
    let bias = plain(&[13], 3);
    let (mut results, mut slopes) = (Vec::new(), Vec::new());
    for width in Width::available() {
        let mut out = vec![f32::NAN; 2 * 13 * 15 * 87];
        let stencil = Stencil::forward(&e, &weight);
        direct::forward(width, &stencil, &x, (&bias, true), &mut out);
        results.push(out.clone());
        out.fill(f32::NAN);
        winograd::forward(width, &e, &x, &weight, (&bias, true), &mut out);
        results.push(out);
        slopes.push(weight_gradient(width, &stencil, &x, &results[0]));
    }
    for other in &results[1..] {
        for (a, b) in results[0].iter().zip(other) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
    }
    for other in &slopes[1..] {
        for (a, b) in slopes[0].iter().zip(other) {
            assert!((a - b).abs() < 1e-2, "{a} {b}");
        }
    }
}

#[test]
fn shapes_that_do_not_fit_are_errors() {
    let how = Convolution::default();
    let bias = random(&[2], 0);
    assert!(
        how.apply(&random(&[1, 3, 8, 8], 0), &random(&[2, 4, 3, 3], 0), &bias)
            .is_err()
    );
    assert!(
        how.apply(&random(&[1, 3, 2, 2], 0), &random(&[2, 3, 3, 3], 0), &bias)
            .is_err()
    );
    assert!(
        how.apply(&random(&[1, 3, 8, 8], 0), &random(&[3, 3, 3, 3], 0), &bias)
            .is_err()
    );
    assert!(
        how.apply(&random(&[3, 8, 8], 0), &random(&[2, 3, 3, 3], 0), &bias)
            .is_err()
    );
    let padded = Convolution { padding: 1, ..how };
    let (empty, small) = (random(&[1, 3, 0, 8], 0), random(&[2, 3, 2, 2], 0));
    assert!(padded.apply(&empty, &small, &bias).is_err());
}
