package main

import (
	"encoding/json"
	"fmt"
)

// unit is the number of resources that one function comes with.
const unit = 10

// Names and values of what the stack is made from.
const (
	repository   = "orders"
	tagParameter = "lambdaImageTag"
	tag          = "initial"
)

// change is what a template has that the one before it had not.
type change int

const (
	unchanged change = iota
	oneChanged
	failing
)

type object map[string]any

// memory returns the memory of the last function, in MB: what changes with one change.
func (c change) memory() int {
	switch c {
	case oneChanged:
		return 256
	case failing:
		return 64 // Lambda's least is 128
	default:
		return 128
	}
}

// template returns a template of n resources: for each ten a function that runs an image
// of the tag that a parameter names, with what such a function comes with. The one that
// fails changes each unit's queue first, so that there is something to roll back.
func template(n int, architecture string, change change) (string, error) {
	resources := object{}
	var queues []string
	for i := range n / unit {
		name := func(logical string) string { return fmt.Sprintf("%s%d", logical, i) }
		ref := func(logical string) object { return object{"Ref": name(logical)} }
		attribute := func(logical, attribute string) object {
			return object{"Fn::GetAtt": []string{name(logical), attribute}}
		}
		resource := func(logical, kind string, properties object) object {
			r := object{"Type": kind, "Properties": properties}
			resources[name(logical)] = r
			return r
		}
		queues = append(queues, name("Queue"))
		resource("Role", "AWS::IAM::Role", object{"AssumeRolePolicyDocument": policy(object{"Effect": "Allow", "Principal": object{"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"})})
		resource("Policy", "AWS::IAM::Policy", object{
			"PolicyName": name("policy"), "Roles": []any{ref("Role")},
			"PolicyDocument": policy(object{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": attribute("Queue", "Arn")}),
		})
		resource("DeadLetters", "AWS::SQS::Queue", object{})
		queue := object{"RedrivePolicy": object{"deadLetterTargetArn": attribute("DeadLetters", "Arn"), "maxReceiveCount": 3}}
		if change == failing {
			queue["VisibilityTimeout"] = 60
		}
		resource("Queue", "AWS::SQS::Queue", queue)
		resource("Logs", "AWS::Logs::LogGroup", object{"LogGroupName": name("/bench/orders"), "RetentionInDays": 7})
		function := object{
			"PackageType":   "Image",
			"Code":          object{"ImageUri": object{"Fn::Sub": "${AWS::AccountId}.dkr.ecr.${AWS::Region}.${AWS::URLSuffix}/" + repository + ":${Tag}"}},
			"Architectures": []string{architecture},
			"Role":          attribute("Role", "Arn"), "MemorySize": unchanged.memory(),
			"Environment": object{"Variables": object{"QUEUE": ref("Queue"), "LOGS": ref("Logs")}},
		}
		made := resource("Function", "AWS::Lambda::Function", function)
		resource("Rule", "AWS::Events::Rule", object{
			"EventPattern": object{"source": []string{name("orders")}},
			"Targets":      []any{object{"Id": "function", "Arn": attribute("Function", "Arn")}},
		})
		resource("Permission", "AWS::Lambda::Permission", object{
			"Action": "lambda:InvokeFunction", "FunctionName": ref("Function"), "Principal": "events.amazonaws.com", "SourceArn": attribute("Rule", "Arn"),
		})
		resource("Parameter", "AWS::SSM::Parameter", object{"Name": name("/bench/function"), "Type": "String", "Value": ref("Function")})
		resource("Repository", "AWS::ECR::Repository", object{"RepositoryName": name("bench/orders")})
		if i == n/unit-1 {
			function["MemorySize"] = change.memory()
			if change == failing {
				made["DependsOn"] = queues
			}
		}
	}
	text, err := json.Marshal(object{
		"Parameters": object{"Tag": object{"Type": "AWS::SSM::Parameter::Value<String>", "Default": tagParameter}},
		"Resources":  resources,
	})
	return string(text), err
}

func policy(statement object) object {
	return object{"Version": "2012-10-17", "Statement": []any{statement}}
}
