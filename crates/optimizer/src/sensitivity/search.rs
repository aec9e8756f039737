//! The smallest set that helps, found by measuring few of all sets.

/// A set that stays within the budget, and what it was measured to cost.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    /// Members, the most harmful first.
    pub(super) members: Vec<usize>,
    pub(super) cost: f64,
}

/// Looks for the smallest set of at most `most` whose `cost` stays within the budget; nothing where none does.
///
/// `ranked` is ordered by harm, the most harmful first. First by halves for the shortest beginning of it that is enough;
/// then each member that turns out not to be needed is dropped, the least harmful first. So no member of the result can
/// be spared, though another set may be as small. `whole` is the cost of the empty set.
pub(super) fn smallest<E>(
    ranked: &[usize],
    most: usize,
    budget: f64,
    whole: f64,
    cost: &mut dyn FnMut(&[usize]) -> Result<f64, E>,
) -> Result<Option<Found>, E> {
    if whole <= budget {
        return Ok(Some(Found { members: Vec::new(), cost: whole }));
    }
    let (mut enough, mut too_few) = (ranked.len().min(most), 0);
    if enough == 0 {
        return Ok(None);
    }
    let mut found = Found { members: ranked[..enough].to_vec(), cost: cost(&ranked[..enough])? };
    if found.cost > budget {
        return Ok(None);
    }
    while enough - too_few > 1 {
        let middle = usize::midpoint(enough, too_few);
        let measured = cost(&ranked[..middle])?;
        if measured <= budget {
            enough = middle;
            found = Found { members: ranked[..middle].to_vec(), cost: measured };
        } else {
            too_few = middle;
        }
    }
    // Without the last of them it is not enough, as was just seen.
    for place in (0..enough - 1).rev() {
        let mut fewer = found.members.clone();
        fewer.remove(place);
        let measured = cost(&fewer)?;
        if measured <= budget {
            found = Found { members: fewer, cost: measured };
        }
    }
    Ok(Some(found))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    /// What is left of harms that add up, where some are kept float.
    fn left(harms: &[f64], kept: &[usize]) -> f64 {
        harms.iter().enumerate().filter(|(index, _)| !kept.contains(index)).map(|(_, harm)| harm).sum()
    }

    fn ranked(harms: &[f64]) -> Vec<usize> {
        let mut ranked: Vec<usize> = (0..harms.len()).collect();
        ranked.sort_by(|left, right| harms[*right].total_cmp(&harms[*left]));
        ranked
    }

    fn search(harms: &[f64], most: usize, budget: f64) -> (Option<Found>, usize) {
        let mut asked = 0;
        let cost = &mut |kept: &[usize]| {
            asked += 1;
            Ok::<_, Infallible>(left(harms, kept))
        };
        let found = smallest(&ranked(harms), most, budget, left(harms, &[]), cost).unwrap();
        (found, asked)
    }

    proptest! {
        #[test]
        fn harms_that_add_up_are_kept_in_the_fewest(
            harms in prop::collection::vec(0.0_f64..1.0, 1..40), share in 0.01_f64..1.2,
        ) {
            let budget = share * left(&harms, &[]);
            let (found, asked) = search(&harms, harms.len(), budget);
            let found = found.unwrap();
            prop_assert!(found.cost <= budget && (left(&harms, &found.members) - found.cost).abs() < 1e-12);
            let shortest = (0..=harms.len()).find(|count| left(&harms, &ranked(&harms)[..*count]) <= budget);
            prop_assert_eq!(Some(found.members.len()), shortest);
            prop_assert!(asked <= 8 + found.members.len());
        }

        #[test]
        fn nobody_can_be_spared_whatever_the_costs(
            costs in prop::collection::vec(0.0_f64..1.0, 64), budget in 0.0_f64..1.0,
        ) {
            // Any cost for any set of six.
            let of = |kept: &[usize]| costs[kept.iter().fold(0, |bits, index| bits | 1 << index)];
            let cost = &mut |kept: &[usize]| Ok::<_, Infallible>(of(kept));
            if let Some(found) = smallest(&[3, 1, 4, 0, 5, 2], 6, budget, of(&[]), cost).unwrap() {
                prop_assert!(of(&found.members) <= budget);
                prop_assert!((of(&found.members) - found.cost).abs() < f64::EPSILON);
            }
        }
    }

    #[test]
    fn a_member_that_ranks_high_and_is_not_needed_is_dropped() {
        // Alone 0 harms most, yet together with 1 it costs nothing.
        let cost = |kept: &[usize]| if kept.contains(&1) { 0.0 } else { 1.0 };
        let found = smallest(&[0, 1, 2], 3, 0.5, 1.0, &mut |kept| Ok::<_, Infallible>(cost(kept))).unwrap();
        assert_eq!(found, Some(Found { members: vec![1], cost: 0.0 }));
    }

    #[test]
    fn nothing_is_found_where_nothing_is_enough() {
        assert_eq!(search(&[0.5, 0.4], 2, -1.0).0, None);
        assert_eq!(search(&[0.5, 0.4, 0.3], 1, 0.5).0, None, "more would be needed than may be kept");
        assert_eq!(search(&[], 2, -1.0).0, None);
        assert_eq!(search(&[0.5], 1, 0.6), (Some(Found { members: vec![], cost: 0.5 }), 0));
    }
}
