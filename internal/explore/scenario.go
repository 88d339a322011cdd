package explore

import (
	"cmp"
	"context"

	"github.com/tasuki-dev/tasuki"
)

// Scenario is what acts on an account, how the account begins, and what may go wrong.
type Scenario struct {
	Name   string
	Start  Start
	Actors []Actor
	Faults []Fault // the kinds that are tried at every step
	Most   int     // how many faults one schedule may have
	Rounds int     // how often an actor may update the function before it has to let the others pass; 0 for 2

	// Switches, when set, bounds how often an actor that could go on is made to wait
	// for another one. Fewer schedules are explored then, and those that need few
	// switches to go wrong are among them.
	Switches int
}

// InTurn is the value of [Scenario.Switches] with which nobody who could go on is made to
// wait: the actors take turns in every order, and what goes wrong still comes anywhere.
const InTurn = -1

func (s *Scenario) updates() int { return cmp.Or(s.Rounds, 2) }

// Start is how the account begins. Images are known by their tags; v0 to v3, Broken
// and Sick are in ECR.
type Start struct {
	Function   string   // what the functions run; "" for no function
	Worker     bool     // the handoff has two functions
	Alias      bool     // the functions have an alias
	Registered []string // the tag parameter's versions, oldest first; "initial" as a recipe writes it
	NoSeed     bool     // the placeholder is not in ECR yet
}

// Names of the images that are not releases.
const (
	Placeholder = "placeholder"
	Broken      = "broken" // Lambda does not take it
	Sick        = "sick"   // fails its test on the handoff's last function
)

// Actor does one command after the other: each when the one before has ended.
type Actor []Command

// Command is what a person, a pipeline or an event starts.
type Command struct {
	Name string // as in "release v1"
	Kind Kind
	Run  func(ctx context.Context, p *Port) Outcome

	Tests bool // it tests an image before it registers it
}

// Kind says what the invariants demand of a command.
type Kind int

// The kinds of commands.
const (
	Reconciles Kind = iota // makes the function run what is registered
	Releases               // tries an image, registers it and reconciles
	Registers              // writes the parameter without trying the image, and reconciles
	Writes                 // writes the parameter, and leaves the function alone
	Deploys                // changes the function as CloudFormation does
)

// Outcome is what a command reports when it has ended.
type Outcome struct {
	Tag        tasuki.Tag // what it says it registered; zero for nothing
	Superseded bool       // it says that another release is registered
	Err        error
}

// Fault is a kind of failure.
type Fault string

// The kinds of failure.
const (
	Crash  Fault = "crash"  // the actor dies before the operation; later the command is started again
	Lost   Fault = "lost"   // the operation is done, and not answered
	Denied Fault = "denied" // the operation is refused
	Stale  Fault = "stale"  // the parameter is shown as it was before its last write
)
