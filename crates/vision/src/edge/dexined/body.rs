//! The layers of DexiNed and how one feeds the next.
//!
//! Central type [`Body`]: six blocks at 1/2, 1/2, 1/4, 1/8, 1/16 and 1/16 of the image's size, with
//! skips on two sides of each, six logit maps and their weighted sum.

use super::layer::{Layer, LayerSource};
use super::rise::Rise;
use crate::edge::Activation;
use crate::edge::convolution::Convolution;
use crate::edge::stage::{Passage, Staged};

/// Two 3x3 convolutions whose result is averaged with a skip.
struct DenseLayer<A> {
    wide: Layer<A>,
    narrow: Layer<A>,
}

/// Dense layers that all see the same skip.
struct DenseBlock<A> {
    layers: Vec<DenseLayer<A>>,
}

/// All layers.
pub struct Body<A> {
    block_1: [Layer<A>; 2],
    block_2: [Layer<A>; 2],
    dense: [DenseBlock<A>; 4],
    sides: [Layer<A>; 4],
    pre_dense: [Layer<A>; 5],
    rises: [Rise<A>; 6],
    fuse: Layer<A>,
}

fn plain() -> Convolution {
    Convolution::default()
}

impl<A: Activation> DenseBlock<A> {
    fn new<S: LayerSource<A>>(
        reader: &S,
        name: &str,
        layers: usize,
        inputs: usize,
        outputs: usize,
    ) -> Result<Self, S::Error> {
        let wide = Convolution {
            padding: 2,
            relu: true,
            ..plain()
        };
        let mut made = Vec::with_capacity(layers);
        for i in 0..layers {
            let name = |part| format!("{name}.denselayer{}.{part}", i + 1);
            let from = if i == 0 { inputs } else { outputs };
            made.push(DenseLayer {
                wide: reader.normed(
                    (&name("conv1"), &name("norm1")),
                    [outputs, from, 3, 3],
                    wide,
                    1.0,
                )?,
                // half of the average with the skip lies in the weights
                narrow: reader.normed(
                    (&name("conv2"), &name("norm2")),
                    [outputs, outputs, 3, 3],
                    plain(),
                    0.5,
                )?,
            });
        }
        Ok(Self { layers: made })
    }

    fn run(&self, x: &A, skip: &A) -> candle_core::Result<A> {
        let half = skip.scaled(0.5)?;
        let mut y = x.clone();
        for layer in &self.layers {
            let narrow = layer.narrow.run(&layer.wide.run(&y.rectified()?)?)?;
            y = narrow.plus(&half)?;
        }
        Ok(y)
    }
}

impl<A: Activation> Body<A> {
    /// The network with the layers of a source.
    ///
    /// # Errors
    /// The first error of the source.
    pub fn new<S: LayerSource<A>>(reader: &S) -> Result<Self, S::Error> {
        let same = Convolution {
            padding: 1,
            ..plain()
        };
        let relu = Convolution { relu: true, ..same };
        let halve = Convolution { stride: 2, ..relu };
        let block = |name: &str, part: usize, shape, how| {
            let (convolution, norm) = (format!("{name}.conv{part}"), format!("{name}.bn{part}"));
            reader.normed((&convolution, &norm), shape, how, 1.0)
        };
        let skip = |name: &str, outputs, inputs, stride| {
            let (convolution, norm) = (format!("{name}.conv"), format!("{name}.bn"));
            let how = Convolution { stride, ..plain() };
            reader.normed((&convolution, &norm), [outputs, inputs, 1, 1], how, 1.0)
        };
        let dense = |name, layers, from, to| DenseBlock::new(reader, name, layers, from, to);
        let rise = |name, inputs, halvings| Rise::new(reader, name, inputs, halvings);
        // In the original's file, but what it computes reaches no output.
        skip("side_5", 256, 512, 1)?;
        Ok(Self {
            block_1: [
                block("block_1", 1, [32, 3, 3, 3], halve)?,
                block("block_1", 2, [64, 32, 3, 3], relu)?,
            ],
            block_2: [
                block("block_2", 1, [128, 64, 3, 3], relu)?,
                block("block_2", 2, [128, 128, 3, 3], same)?,
            ],
            dense: [
                dense("dblock_3", 2, 128, 256)?,
                dense("dblock_4", 3, 256, 512)?,
                dense("dblock_5", 3, 512, 512)?,
                dense("dblock_6", 3, 512, 256)?,
            ],
            sides: [
                skip("side_1", 128, 64, 2)?,
                skip("side_2", 256, 128, 2)?,
                skip("side_3", 512, 256, 2)?,
                skip("side_4", 512, 512, 1)?,
            ],
            pre_dense: [
                skip("pre_dense_2", 256, 128, 2)?,
                skip("pre_dense_3", 256, 128, 1)?,
                skip("pre_dense_4", 512, 256, 1)?,
                skip("pre_dense_5", 512, 512, 1)?,
                skip("pre_dense_6", 256, 512, 1)?,
            ],
            rises: [
                rise("up_block_1", 64, 1)?,
                rise("up_block_2", 128, 1)?,
                rise("up_block_3", 256, 2)?,
                rise("up_block_4", 512, 3)?,
                rise("up_block_5", 512, 4)?,
                rise("up_block_6", 256, 4)?,
            ],
            // the one normalisation that the original holds but leaves out
            fuse: reader.plain("block_cat.conv", [1, 6, 1, 1], plain())?,
        })
    }
}

/// Sides of images must be multiples of 16. What a stage leaves stands beside it, oldest first.
impl<A: Activation> Staged<A> for Body<A> {
    fn stages(&self) -> usize {
        13
    }

    fn stage(&self, index: usize, mut passage: Passage<A>) -> candle_core::Result<Passage<A>> {
        let [pre_2, pre_3, pre_4, pre_5, pre_6] = &self.pre_dense;
        let Passage { maps, logits, .. } = &mut passage;
        // the branch back to the image's size of the block before
        if let Some(rise) = [1, 3, 5, 7, 9, 11].iter().position(|after| *after == index) {
            logits.push(self.rises[rise].run(maps.last().expect("a block's output"))?);
        }
        let mut take = || maps.pop().expect("the stages before left it");
        let left = match index {
            0 => vec![self.block_1[1].run(&self.block_1[0].run(&take())?)?], // one
            2 => {
                let one = take();
                let two = self.block_2[1].run(&self.block_2[0].run(&one)?)?;
                vec![one, two]
            }
            3 => {
                let (two, one) = (take(), take());
                let two_down = two.halved_overlapping()?;
                drop(two);
                let two_sum = two_down.plus(&self.sides[0].run(&one)?)?;
                vec![two_down, two_sum]
            }
            4 => {
                let (two_sum, two_down) = (take(), take());
                let three = self.dense[0].run(&two_sum, &pre_3.run(&two_down)?)?;
                vec![two_down, two_sum, three]
            }
            5 => {
                let (three, two_sum, two_down) = (take(), take(), take());
                let three_down = three.halved_overlapping()?;
                drop(three);
                let three_sum = three_down.plus(&self.sides[1].run(&two_sum)?)?;
                let skip = pre_4.run(&three_down.plus(&pre_2.run(&two_down)?)?)?;
                vec![three_sum, skip]
            }
            6 => {
                let (skip, three_sum) = (take(), take());
                let four = self.dense[1].run(&three_sum, &skip)?;
                vec![three_sum, four]
            }
            7 => {
                let (four, three_sum) = (take(), take());
                let four_down = four.halved_overlapping()?;
                drop(four);
                let four_sum = four_down.plus(&self.sides[2].run(&three_sum)?)?;
                vec![four_down, four_sum]
            }
            8 => {
                let (four_sum, four_down) = (take(), take());
                let five = self.dense[2].run(&four_sum, &pre_5.run(&four_down)?)?;
                vec![four_sum, five]
            }
            9 => {
                let (five, four_sum) = (take(), take());
                let five_sum = five.plus(&self.sides[3].run(&four_sum)?)?;
                vec![five_sum, five]
            }
            10 => {
                let (five, five_sum) = (take(), take());
                vec![self.dense[3].run(&five_sum, &pre_6.run(&five)?)?] // six
            }
            11 => {
                drop(take());
                Vec::new()
            }
            12 => {
                let fused = self.fuse.run(&A::stacked(logits)?)?;
                logits.push(fused);
                Vec::new()
            }
            _ => return Ok(passage),
        };
        passage.maps.extend(left);
        Ok(passage)
    }
}
