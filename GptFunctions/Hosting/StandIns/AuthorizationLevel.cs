namespace Microsoft.Azure.Functions.Worker;

/// <summary>Stand-in for the worker's enumeration: the key that an HTTP function asks of its callers.</summary>
public enum AuthorizationLevel
{
    Anonymous = 0,
    User = 1,
    Function = 2,
    System = 3,
    Admin = 4,
}
