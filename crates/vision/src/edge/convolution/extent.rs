//! The sizes of one convolution and what a kernel tap meets, plane by plane.
//!
//! Central type [`Extent`].

/// All sizes of one convolution.
#[derive(Clone, Copy)]
pub(super) struct Extent {
    pub(super) n: usize,
    pub(super) c: usize,
    pub(super) h: usize,
    pub(super) w: usize,
    pub(super) o: usize,
    pub(super) kh: usize,
    pub(super) kw: usize,
    pub(super) oh: usize,
    pub(super) ow: usize,
    pub(super) stride: usize,
    pub(super) padding: isize,
    pub(super) dilation: usize,
    pub(super) depthwise: bool,
}

impl Extent {
    /// Terms of every sum: one per input channel and kernel tap.
    pub(super) fn depth(&self) -> usize {
        self.c * self.kh * self.kw
    }

    /// The convolution with step 1 that takes the output's gradient to the image's.
    pub(super) fn turned(&self) -> Self {
        Self {
            c: self.o,
            h: self.oh,
            w: self.ow,
            o: self.c,
            oh: self.h,
            ow: self.w,
            padding: self.dilation as isize * (self.kh as isize - 1) - self.padding,
            ..*self
        }
    }

    /// Columns `ox` of the output whose tap `kx` lies inside the image.
    pub(super) fn valid(&self, k: usize, size: usize, out: usize) -> (usize, usize) {
        let shift = (k * self.dilation) as isize - self.padding;
        let stride = self.stride as isize;
        let first = if shift < 0 {
            (-shift + stride - 1) / stride
        } else {
            0
        };
        let last = (size as isize - 1 - shift).div_euclid(stride) + 1;
        let last = last.clamp(0, out as isize);
        (first.min(last) as usize, last as usize)
    }

    /// Writes the values that one kernel tap meets in output rows `y0..` of `plane`, zeros where it hangs over the border.
    pub(super) fn unroll_tap(
        &self,
        plane: &[f32],
        ky: usize,
        kx: usize,
        y0: usize,
        into: &mut [f32],
    ) {
        let (x0, x1) = self.valid(kx, self.w, self.ow);
        for (i, line) in into.chunks_exact_mut(self.ow).enumerate() {
            let y = ((y0 + i) * self.stride + ky * self.dilation) as isize - self.padding;
            if y < 0 || y >= self.h as isize || x0 >= x1 {
                line.fill(0.0);
                continue;
            }
            line[..x0].fill(0.0);
            line[x1..].fill(0.0);
            let start = (x0 * self.stride + kx * self.dilation) as isize - self.padding;
            let source = &plane[y as usize * self.w + start as usize..(y as usize + 1) * self.w];
            if self.stride == 1 {
                line[x0..x1].copy_from_slice(&source[..x1 - x0]);
            } else {
                for (out, value) in line[x0..x1]
                    .iter_mut()
                    .zip(source.iter().step_by(self.stride))
                {
                    *out = *value;
                }
            }
        }
    }

    /// Adds an unrolled gradient (depth x pixels of rows `y0..y1`) back onto `image` (C x H x W).
    pub(super) fn fold(&self, columns: &[f32], y0: usize, y1: usize, image: &mut [f32]) {
        let mut rows = columns.chunks_exact((y1 - y0) * self.ow);
        for plane in image.chunks_exact_mut(self.h * self.w) {
            for ky in 0..self.kh {
                for kx in 0..self.kw {
                    let row = rows.next().expect("the scratch holds depth x pixels");
                    let (x0, x1) = self.valid(kx, self.w, self.ow);
                    for (i, line) in row.chunks_exact(self.ow).enumerate() {
                        let y =
                            ((y0 + i) * self.stride + ky * self.dilation) as isize - self.padding;
                        if y < 0 || y >= self.h as isize || x0 >= x1 {
                            continue;
                        }
                        let start = (x0 * self.stride + kx * self.dilation) as isize - self.padding;
                        let target = &mut plane[y as usize * self.w + start as usize..];
                        for (value, out) in line[x0..x1]
                            .iter()
                            .zip(target.iter_mut().step_by(self.stride))
                        {
                            *out += *value;
                        }
                    }
                }
            }
        }
    }
}
