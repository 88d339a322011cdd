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
	executed  *changeSet // which the operation carries out; nil for none
}

// begin admits an operation and begins it, and returns the stack's ARN and the operation's
// id; "" where there is no stack to do anything to. The stack that admit gets is nil where
// there is none. A request that is sent again with its token is answered like the first
// one. The stack's change sets are deleted, but for the one that is executed: they were
// made of what the stack was.
func (s *Service) begin(nameOrID string, token *string, kind types.OperationType, admit func(tx *state.Tx, st *stack) (*admission, error)) (id, operationID string, err error) {
	if token != nil && !nameOfToken().MatchString(*token) {
		return "", "", invalid("1 validation error detected: Value '%s' at 'clientRequestToken' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9][-a-zA-Z0-9]*", *token)
	}
	s.admitting.Lock()
	defer s.admitting.Unlock()
	if s.ctx.Err() != nil {
		return "", "", errEnded
	}
	if err := s.pruneIfDue(); err != nil {
		return "", "", err
	}
	var begun *stack
	err = s.o.Store.Update(func(tx *state.Tx) error {
		existing, found, err := s.stackOf(tx, nameOrID)
		if err != nil {
			return err
		}
		id, operationID = existing.ID, existing.lastOperationID()
		if again, err := existing.asked(token, kind); err != nil || again {
			return err
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
		st.Operation, st.LastToken, st.LastAsked = &admitted.operation, aws.ToString(token), kind
		st.Operation.ID, st.Operation.Started = wire.NewID(), s.clock.now()
		begun, id, operationID = st, st.ID, st.Operation.ID
		if err := s.forgetChangeSets(tx, st.ID); err != nil {
			return err
		}
		if c := admitted.executed; c != nil {
			c.Execution = types.ExecutionStatusExecuteInProgress
			if err := s.changeSets.Put(tx, partKey(st.ID, c.ID), *c); err != nil {
				return err
			}
		}
		return s.tell(tx, st, admitted.status, admitted.reason)
	})
	if err != nil || begun == nil {
		return id, operationID, err
	}
	s.publish(*begun)
	s.tasks.Go(func() { s.operate(begun.ID, begun.Operation.ID, false) })
	return id, operationID, nil
}

// asked reports whether the stack's last operation, of that kind, was asked for with a
// token. A token that the last operation was asked for with, of another kind, is refused.
func (st *stack) asked(token *string, kind types.OperationType) (bool, error) {
	switch {
	case token == nil || st.LastToken != *token:
		return false, nil
	case st.LastAsked != kind:
		return false, wire.Errorf("TokenAlreadyExistsException", "The client request token %s was used for another operation on stack %s.", *token, st.Name)
	}
	return true, nil
}
