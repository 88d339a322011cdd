package cloudformation

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// admission is an operation that a stack may begin.
type admission struct {
	st        stack
	operation operation
	status    types.StackStatus
	reason    string
}

// begin admits an operation and begins it, and returns the stack's ARN; "" where there is
// no stack to do anything to. The stack that admit gets is nil where there is none. A
// request that is sent again with its token is answered like the first one.
func (s *Service) begin(nameOrID string, token *string, admit func(tx *state.Tx, st *stack) (*admission, error)) (id string, err error) {
	if token != nil && !nameOfToken.MatchString(*token) {
		return "", invalid("1 validation error detected: Value '%s' at 'clientRequestToken' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9][-a-zA-Z0-9]*", *token)
	}
	s.admitting.Lock()
	defer s.admitting.Unlock()
	if s.ctx.Err() != nil {
		return "", errEnded
	}
	var begun *stack
	err = s.o.Store.Update(func(tx *state.Tx) error {
		existing, found, err := s.stackOf(tx, nameOrID)
		if err != nil {
			return err
		}
		id = existing.ID
		if found && existing.asked(token) {
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
		st.Operation.ID, st.Operation.Started = wire.NewID(), s.clock.now()
		begun, id = st, st.ID
		return s.tell(tx, st, admitted.status, admitted.reason)
	})
	if err != nil || begun == nil {
		return id, err
	}
	s.publish(*begun)
	s.tasks.Go(func() { s.operate(begun.ID, begun.Operation.ID, false) })
	return id, nil
}

// asked reports whether the stack's last operation was asked for with a token.
func (st *stack) asked(token *string) bool { return token != nil && st.LastToken == *token }
