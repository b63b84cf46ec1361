//! Reads the golden files of tests/golden; make_golden.py there says what they hold.
// SPDX-License-Identifier: Apache-2.0

use std::collections::HashMap;
use std::fs;
use std::path::Path;

pub struct Case {
    name: String,
    reals: HashMap<String, Vec<f64>>,
    ints: HashMap<String, Vec<i64>>,
}

impl Case {
    pub fn real(&self, item: &str) -> &[f64] {
        let found = self.reals.get(item);
        found.unwrap_or_else(|| panic!("golden case {} has no real {}", self.name, item))
    }

    pub fn has(&self, item: &str) -> bool {
        self.reals.contains_key(item)
    }

    pub fn scalar(&self, item: &str) -> f64 {
        self.real(item)[0]
    }

    pub fn ints(&self, item: &str) -> &[i64] {
        let found = self.ints.get(item);
        found.unwrap_or_else(|| panic!("golden case {} has no int {}", self.name, item))
    }

    pub fn name(&self) -> &str {
        &self.name
    }
}

/// The cases of `file`: "bindings.txt" and so on.
pub fn read(file: &str) -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/golden").join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {}", path.display(), e));
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (kind, item) = (words.next().expect(file), words.next().expect(file).to_string());
        match kind {
            "#" => {}
            "case" => cases.push(Case { name: item, reals: HashMap::new(), ints: HashMap::new() }),
            "real" => {
                let dims = words.next().expect(file).split('x');
                let count: usize = dims.map(|dim| dim.parse::<usize>().expect(file)).product();
                let values: Vec<f64> = words.map(|word| word.parse().expect(file)).collect();
                assert_eq!(values.len(), count, "{} in {}", item, file);
                cases.last_mut().expect(file).reals.insert(item, values);
            }
            "int" => {
                let count: usize = words.next().expect(file).parse().expect(file);
                let values: Vec<i64> = words.map(|word| word.parse().expect(file)).collect();
                assert_eq!(values.len(), count, "{} in {}", item, file);
                cases.last_mut().expect(file).ints.insert(item, values);
            }
            other => panic!("{} holds an unknown item {}", file, other),
        }
    }
    assert!(!cases.is_empty(), "{} holds no case", file);
    cases
}
