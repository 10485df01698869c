namespace GptFunctions.Tests.Audit;

/// <summary>The audit queue has one name, so classes that use the broker take turns.</summary>
[CollectionDefinition(Name)]
public sealed class AuditQueueTurns
{
    public const string Name = "audit queue";
}
