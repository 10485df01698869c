using System.Linq.Expressions;
using System.Reflection;
using Microsoft.Extensions.DependencyInjection;

namespace GptFunctions.Hosting;

/// <summary>
/// Calls the function of a timer or a message, each time on an instance of its own within a service scope. The call is
/// compiled once. A function takes what its trigger gives and, if it likes, a <see cref="CancellationToken"/>.
/// </summary>
internal sealed class FunctionInvoker
{
    private readonly FunctionDescriptor function;
    private readonly Func<object?, object, CancellationToken, Task> call;

    /// <summary>Throws for a signature that the standalone host cannot serve.</summary>
    public FunctionInvoker(FunctionDescriptor function)
    {
        this.function = function;
        call = Compile(function);
    }

    /// <param name="services">Where the function's instance takes its dependencies from.</param>
    /// <param name="trigger">The value of the trigger's parameter.</param>
    /// <returns>What the function threw; null for success.</returns>
    public async Task<Exception?> InvokeAsync(IServiceProvider services, object trigger, CancellationToken cancellationToken)
    {
        try
        {
            await using var scope = services.CreateAsyncScope();
            var instance = function.Create?.Invoke(scope.ServiceProvider, null);
            await call(instance, trigger, cancellationToken);
            return null;
        }
        catch (Exception error)
        {
            return error;
        }
    }

    private static Func<object?, object, CancellationToken, Task> Compile(FunctionDescriptor function)
    {
        var method = function.Method;
        if (method.ReturnType != typeof(void) && method.ReturnType != typeof(Task))
        {
            throw function.Refusal("it must return Task or void");
        }

        var instance = Expression.Parameter(typeof(object));
        var trigger = Expression.Parameter(typeof(object));
        var cancellationToken = Expression.Parameter(typeof(CancellationToken));
        var arguments = method.GetParameters().Select(Argument);
        Expression body = Expression.Call(method.IsStatic ? null : Expression.Convert(instance, method.DeclaringType!), method, arguments);
        body = method.ReturnType == typeof(Task) ? body : Expression.Block(body, Expression.Constant(Task.CompletedTask));
        return Expression.Lambda<Func<object?, object, CancellationToken, Task>>(body, instance, trigger, cancellationToken).Compile();

        // By position: reflection may make the objects of a method's parameters twice when hosts start side by side.
        Expression Argument(ParameterInfo parameter) =>
            parameter.Position == function.TriggerParameter.Position ? Expression.Convert(trigger, parameter.ParameterType)
            : parameter.ParameterType == typeof(CancellationToken) ? cancellationToken
            : throw function.Refusal($"nothing is known to pass as '{parameter.Name}'; besides its trigger it may take a CancellationToken");
    }
}
