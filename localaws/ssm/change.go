package ssm

import "github.com/aws/aws-sdk-go-v2/service/ssm/types"

// Change is what happened to a parameter, as EventBridge tells it.
type Change struct {
	Operation string // Create, Update or Delete
	Name      string
	ARN       string
	Type      types.ParameterType
}

// OnChange has f called after each write of a parameter, when it is durable and before
// it is answered. It is to be said before the service is used.
func (s *Service) OnChange(f func(Change)) { s.changed = f }

func (s *Service) tell(operation, name string, kind types.ParameterType) {
	if s.changed != nil {
		s.changed(Change{operation, name, s.arn(name), kind})
	}
}
