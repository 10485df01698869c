namespace Microsoft.Azure.Functions.Worker;

/// <summary>Stand-in for the worker's attribute: marks a method as a function.</summary>
[AttributeUsage(AttributeTargets.Method)]
public class FunctionAttribute(string name) : Attribute
{
    public string Name { get; } = name;
}
