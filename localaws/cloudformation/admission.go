package cloudformation

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/tasuki-dev/tasuki/localaws/state"
)

// admission is an operation that a stack may begin.
type admission struct {
	st        stack
	operation operation
	status    types.StackStatus
	reason    string
}

// begin admits an operation and begins it. The stack that admit gets is nil where there
// is none. A request that is sent again with its token is answered like the first one.
func (s *Service) begin(nameOrID string, token *string, admit func(tx *state.Tx, st *stack) (*admission, error)) error {
	if token != nil && !nameOfToken.MatchString(*token) {
		return invalid("1 validation error detected: Value '%s' at 'clientRequestToken' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9][-a-zA-Z0-9]*", *token)
	}
	s.admitting.Lock()
	defer s.admitting.Unlock()
	if s.ctx.Err() != nil {
		return errEnded
	}
	var begun *stack
	err := s.o.Store.Update(func(tx *state.Tx) error {
		existing, found, err := s.stackOf(tx, nameOrID)
		if err != nil {
			return err
		}
		if found && token != nil && existing.LastToken == *token {
			return nil
		}
		of := &existing
		if !found {
			of = nil
		}
		admitted, err := admit(tx, of)
		if err != nil || admitted == nil {
			return err
		}
		st := &admitted.st
		st.Operation, st.LastToken = &admitted.operation, aws.ToString(token)
		st.Operation.ID, st.Operation.Started = newID(), s.clock.now()
		begun = st
		return s.tell(tx, st, admitted.status, admitted.reason)
	})
	if err != nil || begun == nil {
		return err
	}
	s.publish(*begun)
	s.tasks.Go(func() { s.operate(begun.ID, begun.Operation.ID, false) })
	return nil
}
