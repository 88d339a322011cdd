package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/tasuki-dev/tasuki"
)

type contractCommand struct {
	handoffFlags
	Write bool `help:"Write the contract from the flags, for infra sides without the construct."`
}

func (c *contractCommand) Run(s *session) error {
	if c.Write {
		return c.write(s)
	}
	name, err := tasuki.ParseHandoffName(c.Handoff)
	if err != nil {
		return &usageError{err}
	}
	if c.Repository != "" || len(c.Function) > 0 || c.Alias != "" || c.Architecture != "" || c.PlaceholderTag != "" {
		return usage("these flags say what to write into the contract: add --write")
	}
	aws, err := s.backend()
	if err != nil {
		return err
	}
	contract, err := aws.Contracts.ReadContract(s.ctx, name)
	if errors.Is(err, tasuki.ErrMissing) {
		return &tasuki.Error{
			Op: "read", Side: tasuki.SideContract, Subject: name.ContractParameter().String(), Kind: tasuki.ErrMissing,
			Hint: fmt.Sprintf("The infra side writes it; without the construct: tasuki contract %s --write --repository NAME --function NAME.", name),
		}
	}
	if err != nil {
		return err
	}
	return s.printContract(contract)
}

// write writes a contract from the flags over the one that is there, whose other
// fields are kept. The functions' architectures are read where no flag says them.
func (c *contractCommand) write(s *session) error {
	h, err := c.load(s)
	if err != nil {
		return err
	}
	if len(h.Functions) == 0 {
		return usage("which function? give --function")
	}
	for i, f := range h.Functions {
		if f.Architecture != "" {
			continue
		}
		live, err := s.aws.Functions.Function(s.ctx, f.Name)
		if errors.Is(err, tasuki.ErrMissing) {
			return usage("function %s does not exist yet, so its architecture is not known: give --architecture", f.Name)
		}
		if err != nil {
			return err
		}
		h.Functions[i].Architecture = live.Architecture
	}
	contract, err := s.aws.Contracts.ReadContract(s.ctx, h.Name)
	if err != nil && !errors.Is(err, tasuki.ErrMissing) {
		return err
	}
	contract.Handoff = h
	// The function and the parameter are where the caller is, whose repository may be elsewhere.
	caller, err := s.aws.Caller(s.ctx)
	if err != nil {
		return err
	}
	contract.Account, contract.Region = caller.Account, s.aws.Region
	if err := s.aws.Contracts.WriteContract(s.ctx, contract); err != nil {
		return err
	}
	s.say("wrote %s", h.Name.ContractParameter())
	return s.printContract(contract)
}

func (s *session) printContract(contract tasuki.Contract) error {
	return s.result(contract, func(w io.Writer) {
		b, err := json.Marshal(contract)
		if err != nil {
			panic(err) // it was checked
		}
		var indented bytes.Buffer
		if err := json.Indent(&indented, b, "", "  "); err != nil {
			panic(err) // it was just encoded
		}
		fmt.Fprintln(w, indented.String())
	})
}
