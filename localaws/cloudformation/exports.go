package cloudformation

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// export is an output that other stacks can import.
type export struct {
	Name, Value, StackID string
}

// export returns what is exported under a name.
func (s *Service) export(name string) (found export, exists bool, err error) {
	err = s.o.Store.View(func(tx *state.Tx) error {
		all, err := s.exports(tx)
		for _, e := range all {
			if e.Name == name {
				found, exists = e, true
			}
		}
		return err
	})
	return found, exists, err
}

// exports returns all exports, in the order of their names.
func (s *Service) exports(tx *state.Tx) (found []export, err error) {
	err = s.eachStack(tx, func(st stack) {
		if o := st.Operation; o != nil && o.Published && o.Stage == stageDelete {
			return
		}
		for _, o := range st.outputs() {
			if o.Export != "" {
				found = append(found, export{o.Export, o.Value, st.ID})
			}
		}
	})
	slices.SortFunc(found, func(a, b export) int { return strings.Compare(a.Name, b.Name) })
	return found, err
}

// importers returns the names of the stacks that use an export.
func (s *Service) importers(tx *state.Tx, name string) (found []string, err error) {
	err = s.eachStack(tx, func(st stack) {
		if slices.Contains(st.Deployed.Imports, name) || st.Stable != nil && slices.Contains(st.Stable.Imports, name) {
			found = append(found, st.Name)
		}
	})
	return found, err
}

// refusedExport is the error for what a stack may not do to an export.
type refusedExport struct{ text string }

func (r *refusedExport) Error() string { return r.text }

// checkExports refuses, of what a stack is to have for outputs, names that another stack
// exports, and changes of what another stack imports. Its error is a refusedExport then.
func (s *Service) checkExports(tx *state.Tx, stackID string, outputs []output) error {
	exports, err := s.exports(tx)
	if err != nil {
		return err
	}
	for _, e := range exports {
		i := slices.IndexFunc(outputs, func(o output) bool { return o.Export == e.Name })
		if e.StackID != stackID {
			if i >= 0 {
				return &refusedExport{fmt.Sprintf("Export with name %s is already exported by stack %s.", e.Name, stackName(e.StackID))}
			}
			continue
		}
		if i >= 0 && outputs[i].Value == e.Value {
			continue
		}
		importers, err := s.importers(tx, e.Name)
		if err != nil {
			return err
		}
		importers = slices.DeleteFunc(importers, func(name string) bool { return name == stackName(stackID) })
		verb := "update"
		if i < 0 {
			verb = "delete"
		}
		if len(importers) > 0 {
			return &refusedExport{fmt.Sprintf("Cannot %s export %s as it is in use by %s.", verb, e.Name, joined(importers))}
		}
	}
	return nil
}

// ListExports lists what stacks export.
func (s *Service) ListExports(_ context.Context, in *cloudformation.ListExportsInput) (*cloudformation.ListExportsOutput, error) {
	out := &cloudformation.ListExportsOutput{Exports: []types.Export{}}
	err := s.o.Store.View(func(tx *state.Tx) error {
		exports, err := s.exports(tx)
		for _, e := range exports {
			out.Exports = append(out.Exports, types.Export{ExportingStackId: aws.String(e.StackID), Name: aws.String(e.Name), Value: aws.String(e.Value)})
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	out.Exports, out.NextToken, err = page(out.Exports, in.NextToken)
	return out, err
}

// ListImports lists the stacks that use an export.
func (s *Service) ListImports(_ context.Context, in *cloudformation.ListImportsInput) (*cloudformation.ListImportsOutput, error) {
	name := aws.ToString(in.ExportName)
	out := &cloudformation.ListImportsOutput{}
	err := s.o.Store.View(func(tx *state.Tx) (err error) {
		out.Imports, err = s.importers(tx, name)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(out.Imports) == 0 {
		return nil, wire.Errorf("ValidationError", "Export '%s' is not imported by any stack.", name)
	}
	out.Imports, out.NextToken, err = page(out.Imports, in.NextToken)
	return out, err
}
