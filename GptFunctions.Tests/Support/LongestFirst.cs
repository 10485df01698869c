using GptFunctions.Tests.Audit;
using GptFunctions.Tests.Clients;
using GptFunctions.Tests.Gateway;
using GptFunctions.Tests.Hosting;
using GptFunctions.Tests.Verification;
using Xunit.Abstractions;

[assembly: TestCollectionOrderer("GptFunctions.Tests.Support.LongestFirst", "GptFunctions.Tests")]

namespace GptFunctions.Tests.Support;

/// <summary>
/// Nobody shall wait at the end for one that began late: first the classes that take turns at the audit queue, which is minutes in a row, and then those
/// with a test of half a minute and more.
/// </summary>
public sealed class LongestFirst : ITestCollectionOrderer
{
    private static readonly string[] Long =
    [
        AuditQueueTurns.Name, .. ((Type[])[typeof(ChaosTests), typeof(OperationsBrowserTests), typeof(CallbackTests), typeof(WorkPagesBrowserTests),
            typeof(ActionFaultTests), typeof(ShutdownTests), typeof(OrderChaosTests), typeof(McpHostTests)]).Select(type => type.FullName!),
    ];

    public IEnumerable<ITestCollection> OrderTestCollections(IEnumerable<ITestCollection> testCollections) => testCollections.OrderBy(PlaceOf);

    private static int PlaceOf(ITestCollection collection) =>
        Array.FindIndex(Long, name => collection.DisplayName.EndsWith(name, StringComparison.Ordinal)) is >= 0 and var place ? place : Long.Length;
}
