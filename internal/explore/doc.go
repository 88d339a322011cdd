// Package explore runs the protocol through every schedule of a few actors, and
// looks for one that ends badly.
//
// What runs is the domain's own code ([tasuki.Releaser], [tasuki.Reconciler], …) on
// the account of package memory, with one function or two, with an alias or without.
// Each call of a port stops at a gate. When every actor stands at one, the explorer
// chooses which goes on, and whether it meets a fault there; Lambda's finishing of an
// update is one more choice. It goes through the tree of choices depth first, and starts
// each schedule from the beginning: the goroutines of the domain cannot be copied. It
// must be run in a bubble of testing/synctest, which says when all actors have stopped,
// and whose clock moves only when the explorer lets it.
//
// # What bounds it
//
// Two actors that change the function in turn could go on for ever (a release that
// tries its image, and another's reconcile). One that has done so [Scenario.Rounds]
// times changes it again only when nobody else can go on. [Scenario.Switches] bounds
// more, where it is set. Every schedule within the bounds is run to its end, or is known
// to end as one that was.
//
// # What is left out, and why nothing is lost by it
//
// Visited states. A schedule is given up in a state that was visited before. A state
// is the account (the parameter's versions and who wrote them, the function with
// the update under way, which images have run), where in the code each actor stands,
// what it remembers, the faults spent, and what the invariants remember. Where an
// actor stands are the call stacks of its operations, and of the last read of the
// parameter, which tells the phase. What it remembers is the last answer of each
// place that called an operation, since that is what its variables hold. Two things
// are forgotten, as the domain forgets them: what was read of the function before it
// was read again (but for the image with which a release began, which undo needs),
// and all that was read before the parameter was written. How often a loop of the
// domain has gone round is not part of a state: it counts only to 20. This rests on
// how the domain is written; who makes it remember more must say so in recollection.
// A state that came back on the same schedule would mean that something was left
// out, and stops the exploring. Revisions are only compared, and one that is outdated
// stays so: a state says of each whether it is current. Records are known by who wrote
// them. States are told apart by 128 bits of SHA-256.
//
// Steps that commute. Each step has a [footprint]: what it reads and changes of what
// actors share. Two steps of different actors of which neither changes what the other
// reads or changes come to the same in both orders, so where one order has been explored,
// the other is foretold and not run (sleep sets). So are steps of one actor that are
// about different functions.
//
// Independent reads. Where the repository cannot change any more, a read of it commutes
// with all that others do; it is done at once, with each of its faults. So is a read of
// the parameter when nobody else may write it any more, and of what never changes.
//
// Crashes. An actor dies after operations that change something, and nowhere else. To die
// before the next such operation leaves the same account and forgets the same; to die
// before the first one is to begin later.
//
// Waiting. A function that an actor has seen twice under the same update is not
// shown to it again before that update ends: the domain does nothing about it but to
// wait and look again. Twice, because resolving looks without waiting; where the domain
// only waits for the end ([tasuki.Reconciler]'s settled), it is not shown at all. A look
// can meet its faults meanwhile.
//
// Time. An actor that sleeps is awake before the next choice. It may be held at its
// gate for as long as one likes, so every order of the operations remains possible.
// A read that finds no parameter takes six seconds, so that the domain's five
// seconds of reading again are few reads instead of nine: for what is
// found in the end only matters whether the parameter was written before the last of
// them. A stale read is never followed by another one of the same actor, because SSM
// is taken to be consistent within those five seconds. Should a deadline of the domain's (two
// minutes) ever be met, exploring stops and says so.
//
// TestReductionLosesNothing runs scenarios without all this but the visited states, and
// compares the ends; TestBrokenProtocolsAreCaught runs the broken protocols both ways.
//
// # What it has shown, and cannot mend
//
// Before its first registration a handoff has no record of what should run. What follows
// from that is in docs/adr.
package explore
