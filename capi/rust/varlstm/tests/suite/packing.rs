//! Batches, pack and unpack against PyTorch's numbers; lengths that only the back end knows.
// SPDX-License-Identifier: Apache-2.0

use varlstm::{Batch, BatchArray, Layout, Rnn, RnnForward, Status, Workspace};

use crate::golden;
use crate::support::{assert_error, context, on_cuda, unwritten, upload};

#[test]
fn packed_rows_and_index_arrays_equal_pytorchs() {
    let context = context();
    for case in golden::read("packing.txt") {
        let lengths = case.ints("lengths");
        let mut batch = Batch::new(&context, lengths.len() + 2, 20, 40).unwrap();
        batch.set_lengths(lengths).unwrap();
        let array = |which| context.read(batch.array(which).unwrap()).unwrap();
        assert_eq!(array(BatchArray::Lengths), lengths, "{}", case.name());
        assert_eq!(array(BatchArray::BatchSizes), case.ints("batch_sizes"));
        assert_eq!(array(BatchArray::SortedIndices), case.ints("sorted_indices"));
        assert_eq!(array(BatchArray::UnsortedIndices), case.ints("unsorted_indices"));
        assert_eq!(batch.sequences().unwrap(), lengths.len());
        assert_eq!(batch.steps().unwrap(), array(BatchArray::BatchSizes).len());

        let mut same = Batch::new(&context, lengths.len(), 20, 20 * lengths.len()).unwrap();
        same.set_batch_sizes(case.ints("batch_sizes"), Some(case.ints("sorted_indices"))).unwrap();
        assert_eq!(context.read(same.array(BatchArray::Lengths).unwrap()).unwrap(), lengths);

        let (steps, data) = (batch.steps().unwrap(), case.real("data"));
        let mut packed = unwritten(&context, data.len());
        let padded = upload(&context, case.real("padded"));
        batch.pack(Layout::BatchFirst(steps), 2, &padded, &mut packed).unwrap();
        assert_eq!(packed.to_vec().unwrap(), data, "{}", case.name());
        let wide = steps + 2; // the padding that the golden files have
        for (layout, item) in
            [(Layout::BatchFirst(wide), "unpacked_batch_first"), (Layout::TimeMajor(wide), "unpacked_time_major")]
        {
            let expected = case.real(item);
            let mut dst = unwritten(&context, expected.len());
            batch.unpack(layout, 2, -7.5, &packed, &mut dst).unwrap();
            assert_eq!(dst.to_vec().unwrap(), expected, "{} {}", case.name(), item);

            let mut back = unwritten(&context, data.len());
            batch.unpack_backward(layout, 2, &dst, &mut back).unwrap();
            assert_eq!(back.to_vec().unwrap(), data, "{} {}", case.name(), item);
            batch.pack_backward(layout, 2, &packed, &mut dst).unwrap();
            let zero_padded: Vec<f64> = expected.iter().map(|&v| if v == -7.5 { 0.0 } else { v }).collect();
            assert_eq!(dst.to_vec().unwrap(), zero_padded, "{} {}", case.name(), item);
        }
    }
}

#[test]
fn every_index_array_has_its_values() {
    let context = context();
    let batch = Batch::from_lengths(&context, &[2, 0, 3]).unwrap();
    for (which, expected) in [
        (BatchArray::Lengths, &[2, 0, 3][..]),
        (BatchArray::BatchSizes, &[2, 2, 1]),
        (BatchArray::StepOffsets, &[0, 2, 4, 5]),
        (BatchArray::SortedIndices, &[2, 0, 1]),
        (BatchArray::UnsortedIndices, &[1, 2, 0]),
        (BatchArray::CuSeqlens, &[0, 2, 2, 5]),
        (BatchArray::PackedToRagged, &[2, 0, 3, 1, 4]),
        (BatchArray::RaggedToPacked, &[1, 3, 0, 2, 4]),
    ] {
        assert_eq!(context.read(batch.array(which).unwrap()).unwrap(), expected, "{:?}", which);
    }
}

#[test]
fn a_batch_takes_new_lengths() {
    let context = context();
    let mut batch = Batch::new(&context, 3, 4, 7).unwrap();
    assert_eq!((batch.sequences().unwrap(), batch.tokens().unwrap()), (0, 0));
    for lengths in [&[2, 4, 1][..], &[0, 3], &[]] {
        batch.set_lengths(lengths).unwrap();
        let tokens = lengths.iter().sum::<i64>() as usize;
        assert_eq!((batch.sequences().unwrap(), batch.tokens().unwrap()), (lengths.len(), tokens));
        assert_eq!(batch.rows().unwrap(), tokens);
    }
}

#[test]
fn lengths_in_the_back_ends_memory_are_clamped_and_reported() {
    let context = context();
    let mut batch = Batch::new(&context, 3, 4, 9).unwrap();
    batch.set_lengths_in_backend(&upload(&context, &[2, 5, 1])).unwrap();
    assert_eq!(context.read(batch.array(BatchArray::Lengths).unwrap()).unwrap(), [2, 4, 1]);
    let status = context.device_status(true).unwrap();
    assert!(status.bad_length() && !status.bad_token_id() && !status.is_ok());
    assert_eq!(status.first_index(), Some(1));
    assert!(context.device_status(false).unwrap().is_ok());
    if on_cuda() {
        assert_error(batch.tokens(), Status::Unsupported, &["only the device knows"]);
        assert_eq!(batch.rows().unwrap(), 9);
    } else {
        assert_eq!(batch.rows().unwrap(), 7);
    }

    // An LSTM over all rows: those of the sequences equal what lengths from the host give.
    let rnn = Rnn::<f32>::builder(&context, 1, 2).build().unwrap();
    let weights: Vec<f32> = (0..rnn.param_elements()).map(|k| 0.1 * (k % 7) as f32 - 0.3).collect();
    let params = upload(&context, &weights);
    let x = upload(&context, &[0.5f32, -1.0, 2.0, 0.1, 0.2, 0.3, 0.4, 9.0, 9.0]);
    let run = |batch: &Batch| {
        let mut y = unwritten::<f32>(&context, 18);
        let forward = RnnForward::new(&params, &x, &mut y);
        rnn.forward(batch, forward, &mut Workspace::new(&context)).unwrap();
        y.to_vec().unwrap()[..14].to_vec()
    };
    let there = run(&batch);
    batch.set_lengths(&[2, 4, 1]).unwrap();
    assert_eq!(there, run(&batch));
    assert!(there.iter().all(|value| value.is_finite()));
}
