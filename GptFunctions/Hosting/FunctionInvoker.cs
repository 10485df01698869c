using System.Diagnostics;
using System.Reflection;
using Microsoft.Extensions.DependencyInjection;

namespace GptFunctions.Hosting;

/// <summary>
/// Calls the function of a timer or a message, each time on an instance of its own within a service scope. A function takes what its trigger gives and, if
/// it likes, a <see cref="CancellationToken"/>.
/// </summary>
internal sealed class FunctionInvoker
{
    private readonly FunctionDescriptor function;
    private readonly MethodInvoker method;
    private readonly int count;
    private readonly string spanName; // as the Functions worker calls its own

    /// <summary>Throws for a signature that the standalone host cannot serve.</summary>
    public FunctionInvoker(FunctionDescriptor function)
    {
        this.function = function;
        spanName = "function " + function.Name;
        method = MethodInvoker.Create(function.Method);
        if (function.Method.ReturnType != typeof(void) && function.Method.ReturnType != typeof(Task))
        {
            throw function.Refusal("it must return Task or void");
        }

        // By position: reflection may make the objects of a method's parameters twice when hosts start side by side.
        var parameters = function.Method.GetParameters();
        if (Array.Find(parameters, one => one.Position != function.TriggerParameter.Position && one.ParameterType != typeof(CancellationToken)) is { } unknown)
        {
            throw function.Refusal($"nothing is known to pass as '{unknown.Name}'; besides its trigger it may take a CancellationToken");
        }

        count = parameters.Length;
    }

    /// <param name="services">Where the function's instance takes its dependencies from.</param>
    /// <param name="trigger">The value of the trigger's parameter.</param>
    /// <param name="parent">The span that caused it, the default for one that begins a trace; null for what nobody traces.</param>
    /// <returns>What the function threw; null for success.</returns>
    public async Task<Exception?> InvokeAsync(
        IServiceProvider services, object trigger, ActivityContext? parent, CancellationToken cancellationToken)
    {
        using var span = parent is { } cause ? Traces.Source.StartActivity(spanName, ActivityKind.Internal, cause) : null;
        try
        {
            await using var scope = services.CreateAsyncScope();
            var arguments = new object?[count];
            Array.Fill(arguments, cancellationToken);
            arguments[function.TriggerParameter.Position] = trigger;
            if (method.Invoke(function.Create?.Invoke(scope.ServiceProvider, null), arguments) is Task task)
            {
                await task;
            }

            return null;
        }
        catch (Exception error)
        {
            span?.SetStatus(ActivityStatusCode.Error, error.GetType().Name);
            return error;
        }
    }
}
