using GptFunctions.Hosting;
using GptFunctions.Operations.Pages;
using Microsoft.AspNetCore.Http;
using Microsoft.Azure.Functions.Worker;

namespace GptFunctions.Operations;

/// <summary>Where those on call come in.</summary>
internal sealed class OperationsFunctions(OperatorAccess access)
{
    [Function("Operations")]
    public Task<IResult> OpenAsync([HttpTrigger(AuthorizationLevel.Anonymous, "get", "head", Route = "operations")] HttpRequest request) =>
        access.ShowAsync(request, _ => Task.FromResult<IResult>(new SeeOther(OperationsFrame.Navigation[0].Path)));
}
