using GptFunctions.Operations.Pages;
using Microsoft.AspNetCore.Http;
using Microsoft.Azure.Functions.Worker;

namespace GptFunctions.Operations;

/// <summary>The first page of those on call: is something wrong, and since when?</summary>
internal sealed class OverviewFunctions(OperatorAccess access, OverviewService overview)
{
    [Function("OperationsOverview")]
    public Task<IResult> ShowAsync([HttpTrigger(AuthorizationLevel.Anonymous, "get", "head", Route = "operations/overview")] HttpRequest request) =>
        access.ShowAsync(request, async visit => visit.Page<OverviewPage>(new() { [nameof(OverviewPage.View)] = await overview.ReadAsync() }));
}
