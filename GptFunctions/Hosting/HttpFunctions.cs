using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Routing.Matching;
using Microsoft.AspNetCore.Routing.Patterns;
using Microsoft.Azure.Functions.Worker;

namespace GptFunctions.Hosting;

/// <summary>
/// HTTP triggers as endpoints, routed as the Functions host does it: by function name, first match wins, whatever is more
/// specific; a method that the trigger does not list is 404, not 405.
/// </summary>
internal static class HttpFunctions
{
    public static void Map(IEndpointRouteBuilder app, IEnumerable<FunctionDescriptor> functions)
    {
        var order = 0;
        var endpoints = functions.Where(function => function.Trigger is HttpTriggerAttribute).Select(function => Build(function, app.ServiceProvider, order++))
            .ToList();
        app.DataSources.Add(new DefaultEndpointDataSource(endpoints));
    }

    private static Endpoint Build(FunctionDescriptor function, IServiceProvider services, int order)
    {
        var trigger = (HttpTriggerAttribute)function.Trigger;
        var pattern = RoutePatternFactory.Parse("/" + (trigger.Route ?? function.Name));
        // Made when it is first called: a hundred of them would keep a start waiting. None of the classes has a state of its own.
        var invoke = new Lazy<RequestDelegate>(() =>
        {
            var instance = function.Create?.Invoke(services, null);
            return RequestDelegateFactory.Create(function.Method, _ => instance!, new RequestDelegateFactoryOptions
            {
                ServiceProvider = services,
                RouteParameterNames = [.. pattern.Parameters.Select(parameter => parameter.Name)],
            }).RequestDelegate;
        });
        var builder = new RouteEndpointBuilder(context => GuardAsync(context, invoke.Value), pattern, order) { DisplayName = function.Name };
        builder.Metadata.Add(new ListedMethods(trigger.Methods is { Length: > 0 } methods ? new(methods, StringComparer.OrdinalIgnoreCase) : null));
        return builder.Build();
    }

    /// <summary>In the Functions host a function's exception never reaches the ASP.NET Core pipeline; so the mapping sits here, around the function.</summary>
    private static async Task GuardAsync(HttpContext context, RequestDelegate invoke)
    {
        try
        {
            await invoke(context);
        }
        catch (Exception error) when (ErrorMapper.IsHangUp(error, context.RequestAborted))
        {
            // Nobody reads an answer.
        }
        catch (Exception error) when (!context.Response.HasStarted)
        {
            context.Response.Clear();
            await ErrorMapper.From(context).ToResult(context, error).ExecuteAsync(context);
        }
    }
}

/// <summary>The methods that an HTTP trigger lists; null for all.</summary>
internal sealed record ListedMethods(HashSet<string>? Names)
{
    public bool Contains(string method) => Names is null || Names.Contains(method);
}

/// <summary>Drops endpoints whose trigger does not list the request's method, so that the next route is tried, or none: 404.</summary>
internal sealed class ListedMethodsPolicy : MatcherPolicy, IEndpointSelectorPolicy
{
    public override int Order => 0;

    public bool AppliesToEndpoints(IReadOnlyList<Endpoint> endpoints) => endpoints.Any(endpoint => endpoint.Metadata.GetMetadata<ListedMethods>() is not null);

    public Task ApplyAsync(HttpContext httpContext, CandidateSet candidates)
    {
        for (var index = 0; index < candidates.Count; index++)
        {
            if (candidates.IsValidCandidate(index)
                && candidates[index].Endpoint.Metadata.GetMetadata<ListedMethods>()?.Contains(httpContext.Request.Method) == false)
            {
                candidates.SetValidity(index, false);
            }
        }

        return Task.CompletedTask;
    }
}
